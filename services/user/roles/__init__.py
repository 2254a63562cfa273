"""Who is an operator and who an admin."""
