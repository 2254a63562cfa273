"""How many text messages may be requested. Each costs money, and fraudsters earn by numbers that they are sent to (SMS pumping)."""

from datetime import timedelta

WINDOW = timedelta(days=1)
"""How long requested messages count, from the first."""
MAX_TO_NUMBER = 5
MAX_OF_USER = 10
