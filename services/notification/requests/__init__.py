"""Notifications that partners and operators send on request: accepted, read, cancelled, retried; and what TEST has captured."""
