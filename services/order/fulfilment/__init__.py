"""What happens to the units of an order after it is confirmed."""
