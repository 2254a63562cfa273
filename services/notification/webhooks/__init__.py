"""Webhook deliveries: one for each event and endpoint, with their attempts."""
