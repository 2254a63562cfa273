"""Payments of orders, and the gateways that carry them out."""
