"""Measurements: load against processes, their CPU accounts, and the rows of the table."""
