"""The demo journey through a running mesh."""
