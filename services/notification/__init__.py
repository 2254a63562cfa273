"""The notification service: events in; inbox, mail and other channels out."""
