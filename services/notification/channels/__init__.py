"""Channels: the ways by which notifications reach users."""
