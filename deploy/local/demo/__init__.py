"""The demo scenario through a running mesh."""
