"""A circuit breaker: it opens when a service keeps failing, and after a pause lets one call probe it."""

import logging
import threading
import weakref
from collections.abc import Iterable
from enum import IntEnum
from time import monotonic

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

log = logging.getLogger("weft_client.breaker")


_PROBE_RETRY_S = 0.1
"""`retry_after` of callers that come while a probe is in flight."""


class State(IntEnum):
    """As the metric `weft.client.breaker.state` reports it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class BreakerOpen(Exception):
    """The breaker admits no call for `retry_after` seconds."""

    def __init__(self, service: str, retry_after: float) -> None:
        super().__init__(f"{service}: circuit breaker open")
        self.retry_after = retry_after


class Breaker:
    """Opens after `failures` in a row, for `first_pause_s`; each failed probe doubles the pause, up to `max_pause_s`.

    Callers report as failures only what says that the service is unhealthy (see `call.UNHEALTHY`).
    """

    __slots__ = (
        "__weakref__",
        "_failed",
        "_failures",
        "_first_pause_s",
        "_lock",
        "_max_pause_s",
        "_pause_s",
        "_until",
        "service",
        "state",
    )

    def __init__(self, service: str, failures: int = 5, first_pause_s: float = 1.0, max_pause_s: float = 5.0) -> None:
        self.service = service
        self.state = State.CLOSED
        self._failures, self._first_pause_s, self._max_pause_s = failures, first_pause_s, max_pause_s
        self._failed = 0
        self._pause_s = first_pause_s
        self._until = 0.0
        self._lock = threading.Lock()
        _breakers.add(self)

    def acquire(self) -> None:
        """Admit a call. Raises `BreakerOpen`; else exactly one of `succeeded`, `failed` and `cancelled` must follow."""
        if self.state is not State.CLOSED:
            self._probe()

    def _probe(self) -> None:
        with self._lock:
            wait = self._until - monotonic()
            if self.state is State.OPEN and wait <= 0:
                self.state = State.HALF_OPEN
            elif self.state is not State.CLOSED:
                raise BreakerOpen(self.service, max(wait, _PROBE_RETRY_S))

    def wait(self) -> float:
        """Seconds until a call may be admitted, 0 where one may be now. Admits nothing itself."""
        if self.state is State.CLOSED:
            return 0.0
        return _PROBE_RETRY_S if self.state is State.HALF_OPEN else max(0.0, self._until - monotonic())

    def succeeded(self) -> None:
        """The service answered as a healthy one does, even with an error."""
        if self._failed or self.state is not State.CLOSED:
            with self._lock:
                if self.state is not State.CLOSED:
                    log.warning("the %s service answers again; circuit breaker closed", self.service)
                self.state, self._failed, self._pause_s = State.CLOSED, 0, self._first_pause_s

    def failed(self) -> None:
        """The service failed, or did not answer."""
        with self._lock:
            self._failed += 1
            probe = self.state is State.HALF_OPEN
            if not probe and (self.state is State.OPEN or self._failed < self._failures):
                return
            if probe:
                self._pause_s = min(self._max_pause_s, self._pause_s * 2)
            self.state, self._until = State.OPEN, monotonic() + self._pause_s
            log.warning("the %s service fails; circuit breaker open for %.1f s", self.service, self._pause_s)

    def cancelled(self) -> None:
        """The call ended without saying anything about the service; the next caller may probe."""
        with self._lock:
            if self.state is State.HALF_OPEN:
                self.state, self._until = State.OPEN, monotonic()


_breakers: "weakref.WeakSet[Breaker]" = weakref.WeakSet()


def _observe(_: CallbackOptions) -> Iterable[Observation]:
    return [Observation(b.state.value, {"weft.service": b.service}) for b in list(_breakers)]


metrics.get_meter("weft_client").create_observable_gauge(
    "weft.client.breaker.state", [_observe], description="0 closed, 1 probing, 2 open, by service"
)
