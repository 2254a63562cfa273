"""One-time codes that prove an address: requested by a call, made when the message with it is sent, hashed, used up once."""
