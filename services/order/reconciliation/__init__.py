"""The daily comparison of our books with those of the payment providers."""
