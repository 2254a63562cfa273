"""The error of a caller that is over a limit."""

from chassis.errors import ResourceExhausted


class TooManyAttempts(ResourceExhausted):
    """Too many failed attempts or requested mails; retry later."""
