"""Who calls, and what is sealed."""
