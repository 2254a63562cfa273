"""Starts the deliveries of notifications that were sent on request: when they are due, and one channel after another."""
