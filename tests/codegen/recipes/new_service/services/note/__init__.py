"""The note service, the smallest that there can be: an example to copy."""
