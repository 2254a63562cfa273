"""A circuit breaker: a service that fails again and again is left alone for a while, then probed by one call."""

import logging
import threading
import weakref
from collections.abc import Iterable
from enum import IntEnum
from time import monotonic

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

log = logging.getLogger("weft_client.breaker")


_PROBING = 0.1
"""Seconds to wait, told to those who come while a probe is under way."""


class State(IntEnum):
    """As the metric `weft.client.breaker.state` reports it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Opens after `failures` in a row; stays open for `first` seconds, doubled by each failed probe up to `most`.

    The caller counts as failures only what tells of the service's health (see `call.UNHEALTHY`).
    """

    __slots__ = (
        "__weakref__",
        "_failed",
        "_failures",
        "_first",
        "_lock",
        "_most",
        "_pause",
        "_until",
        "service",
        "state",
    )

    def __init__(self, service: str, failures: int = 5, first: float = 1.0, most: float = 5.0) -> None:
        self.service = service
        self.state = State.CLOSED
        self._failures, self._first, self._most = failures, first, most
        self._failed = 0
        self._pause = first
        self._until = 0.0
        self._lock = threading.Lock()
        _breakers.add(self)

    def enter(self) -> float:
        """Ask to make a call: 0 where it may go out, else the seconds until the next probe.

        After 0 exactly one of `succeeded`, `failed` and `left` must follow.
        """
        return 0.0 if self.state is State.CLOSED else self._probe()

    def _probe(self) -> float:
        with self._lock:
            wait = self._until - monotonic()
            if self.state is State.OPEN and wait <= 0:
                self.state = State.HALF_OPEN
                return 0.0
            return 0.0 if self.state is State.CLOSED else max(wait, _PROBING)

    def wait(self) -> float:
        """Seconds until a call may go out, 0 where one may now; promises nothing and asks for nothing."""
        if self.state is State.CLOSED:
            return 0.0
        return _PROBING if self.state is State.HALF_OPEN else max(0.0, self._until - monotonic())

    def succeeded(self) -> None:
        """The service answered as a healthy one does, be it with an error."""
        if self._failed or self.state is not State.CLOSED:
            with self._lock:
                if self.state is not State.CLOSED:
                    log.warning("the %s service answers again", self.service)
                self.state, self._failed, self._pause = State.CLOSED, 0, self._first

    def failed(self) -> None:
        """The service did not answer as a healthy one does."""
        with self._lock:
            self._failed += 1
            probe = self.state is State.HALF_OPEN
            if not probe and (self.state is State.OPEN or self._failed < self._failures):
                return
            if probe:
                self._pause = min(self._most, self._pause * 2)
            self.state, self._until = State.OPEN, monotonic() + self._pause
            log.warning("the %s service fails; leaving it alone for %.1f s", self.service, self._pause)

    def left(self) -> None:
        """The call was called off and tells nothing; a probe is open to the next caller."""
        with self._lock:
            if self.state is State.HALF_OPEN:
                self.state, self._until = State.OPEN, monotonic()


_breakers: "weakref.WeakSet[Breaker]" = weakref.WeakSet()


def _observe(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(b.state.value, {"weft.service": b.service}) for b in list(_breakers)]


metrics.get_meter("weft_client").create_observable_gauge(
    "weft.client.breaker.state", [_observe], description="0 closed, 1 probing, 2 open, by service"
)
