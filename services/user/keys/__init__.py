"""Signing keys, their rotation, and the access tokens that they sign."""
