"""Orders: placed, read, cancelled, expired."""
