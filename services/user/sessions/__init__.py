"""Signed-in sessions, their refresh tokens, and how failed attempts back off."""
