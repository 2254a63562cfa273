"""The channels that deliveries leave by."""
