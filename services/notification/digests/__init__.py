"""Digests: several notices of one category to a person, said in one message."""
