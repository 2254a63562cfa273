"""The push channel: Web Push (RFC 8030), to the devices that people have registered."""
