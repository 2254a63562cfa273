"""Phone numbers, proved by a code in a text message."""
