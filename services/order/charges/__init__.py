"""Shipping charges and taxes: the table that operators keep."""
