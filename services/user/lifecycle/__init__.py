"""What happens to an account after it was opened: changes, states."""
