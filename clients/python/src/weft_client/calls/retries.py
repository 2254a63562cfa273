"""When to try again: full-jitter backoff, and a budget that keeps a service in trouble from drowning in retries."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how soon. Attempt n waits a random time up to `first_pause_s * 2**(n-1)`, up to `max_pause_s`.

    Full jitter, as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): it spreads a crowd of clients
    best for the least work. `attempts` counts the first one, so 1 disables retries.
    """

    attempts: int = 5
    first_pause_s: float = 0.1
    max_pause_s: float = 2.0

    def pause(self, attempts: int) -> float:
        """Seconds to wait after `attempts` attempts."""
        return random.uniform(0, min(self.max_pause_s, self.first_pause_s * 2 ** (attempts - 1)))  # noqa: S311


DEFAULT = Retries()


class Budget:
    """Retries that may be spent: each costs one token, each success earns a tenth, up to ten.

    The scheme of gRPC's retry throttling (gRFC A6): a short fault is retried freely, a long one adds at most a tenth to
    the load.
    """

    __slots__ = ("tokens",)
    MAX_TOKENS = 10.0
    TOKENS_PER_SUCCESS = 0.1

    def __init__(self) -> None:
        self.tokens = self.MAX_TOKENS

    def earn(self) -> None:
        """A call succeeded."""
        if self.tokens < self.MAX_TOKENS:
            self.tokens = min(self.MAX_TOKENS, self.tokens + self.TOKENS_PER_SUCCESS)

    def spend(self) -> bool:
        """Whether one more retry may be made; if so, it is paid."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
