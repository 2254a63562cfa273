"""Plugins of pytest: what a run has provoked and logged, and which worker runs what."""
