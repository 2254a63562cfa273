"""The order service: catalogue, orders, payments."""
