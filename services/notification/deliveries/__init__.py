"""Deliveries: notifications on their way by one channel."""
