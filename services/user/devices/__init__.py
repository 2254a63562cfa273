"""Devices and networks that users have signed in from; the owner is told of a new one."""
