"""A call, in and out."""
