"""Webhook endpoints: where partners are told of their events."""
