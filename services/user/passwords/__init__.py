"""Password hashing and the passwords that are refused."""
