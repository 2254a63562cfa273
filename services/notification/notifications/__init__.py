"""Notifications: what a user is notified of, in the inbox, by deliveries, or both."""
