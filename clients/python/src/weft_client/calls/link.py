"""What a client knows about one service from the calls it made: breaker, retry budget, and how to try again."""

from weft_client.calls.breaker import Breaker
from weft_client.calls.retries import Budget, Retries


class Link:
    """Shared by all calls of a client to one service."""

    __slots__ = ("breaker", "budget", "retries")

    def __init__(self, service: str, retries: Retries) -> None:
        self.breaker = Breaker(service)
        self.budget = Budget()
        self.retries = retries
