"""Accounts from sign-up to the proof of an address."""
