"""The change feed of orders, and the streams that follow it."""
