"""Devices: where people get push messages."""
