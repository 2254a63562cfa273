"""What providers say of messages after they have accepted them."""
