"""Password hashing, and the passwords that are too common."""
