"""What people want to be notified of."""
