"""Orders as files."""
