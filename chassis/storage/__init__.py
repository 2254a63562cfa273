"""PostgreSQL and Valkey."""
