"""Every call of every flavour is a `Call`, which makes all decisions.

It sends nothing and waits for nothing; the flavours do that, and ask it what to send, whether to retry, and what to
raise. So deadlines, retries, keys, breaker, spans and metrics are the same for all.
"""

import logging
import math
import re
import secrets
from collections.abc import Callable
from time import monotonic
from typing import Any

import grpc

from weft_client import context, failures
from weft_client.calls import telemetry
from weft_client.calls.breaker import BreakerOpen
from weft_client.calls.link import Link
from weft_client.calls.method import Method

log = logging.getLogger("weft_client.call")

UNHEALTHY = frozenset(
    (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
)
"""The codes that the breaker counts; any other answer, even an error, is that of a healthy service."""

Renew = Callable[[str], bool]
"""Takes a refused `authorization`; returns whether another can be fetched."""

_NO_TIMEOUT_S = float("inf")
_MAX_DEADLINE_S = 365 * 86_400.0
"""Seconds of the longest deadline that is sent: gRPC refuses an endless one."""
_FAIR_S = 1.0
"""Seconds within which a healthy service answers. One that was given less, by whom the work is done for, has not failed."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Call:
    """One call, from its first attempt to its outcome. `metadata` is what to send with the next attempt."""

    __slots__ = (
        "_authorized",
        "_begun",
        "_code",
        "_end",
        "_ended",
        "_entered",
        "_error",
        "_failures_in_a_row",
        "_hurried",
        "_link",
        "_method",
        "_renewed",
        "_span",
        "_started",
        "attempts",
        "metadata",
        "request_id",
    )

    def __init__(self, method: Method[Any, Any], link: Link, timeout: float | None, key: str | None = None) -> None:
        """`timeout` in seconds shortens or lengthens the contract's; the deadline of the work at hand always holds.

        Of a stream the contract bounds each attempt; `timeout` bounds the whole, which is without end where absent.
        Raises `ValueError` for a timeout that is no number and for a key that is not 1 to 255 visible ASCII characters.
        """
        if timeout is not None and math.isnan(timeout):
            raise ValueError("timeout is not a number of seconds: nan.")
        if key is not None and not _KEY.fullmatch(key):
            raise ValueError(f"idempotency_key must be 1 to 255 visible ASCII characters without spaces: {key!r}.")
        self._started = self._begun = now = monotonic()
        if timeout is None:
            timeout = _NO_TIMEOUT_S if method.streaming else method.deadline
        end = now + timeout
        outer = context.deadline.get()
        self._end = end if outer is None or end < outer else outer
        self._hurried = outer is not None and outer < end
        self._method = method
        self._link = link
        self._entered = self._ended = self._renewed = False
        self._authorized = ""
        self._code = "CANCELLED"
        self._error: failures.WeftError | None = None
        self.attempts = self._failures_in_a_row = 0
        self.request_id = context.request_id.get() or secrets.token_hex(16)
        self.metadata: list[tuple[str, str]] = [("x-request-id", self.request_id)]
        self._span = telemetry.begin(method, self.metadata)
        if method.keyed:
            self.metadata.append(("idempotency-key", secrets.token_hex(16) if key is None else key))

    def authorize(self, value: str | None) -> None:
        """Send this `authorization` from the next attempt on; None changes nothing."""
        if value is not None and value != self._authorized:
            if self._authorized:
                self.metadata.remove(("authorization", self._authorized))
            self.metadata.append(("authorization", value))
            self._authorized = value

    def attempt(self) -> float:
        """Begin an attempt; its timeout in seconds. Raises `CircuitOpen`, and `DeadlineExceeded` where no time is left."""
        self._begun = monotonic()
        left = self._end - self._begun
        if left <= 0:
            late = "The time for the call was over before it could be sent."
            raise self.given_up(failures.DeadlineExceeded(late, request_id=self.request_id, attempts=self.attempts))
        try:
            self._link.breaker.acquire()
        except BreakerOpen as opened:
            raise self.given_up(
                failures.CircuitOpen(
                    f"The {self._method.service} service keeps failing; retry in {opened.retry_after:.1f} s.",
                    request_id=self.request_id,
                    retry_after=opened.retry_after,
                    attempts=self.attempts,
                )
            ) from None
        self._entered = True
        self.attempts += 1
        self._failures_in_a_row += 1
        return min(left, self._method.deadline) if self._method.streaming else min(left, _MAX_DEADLINE_S)

    def succeeded(self) -> None:
        """The attempt was answered to its end."""
        self._code, self._error = "OK", None
        self.progressed()

    def progressed(self) -> None:
        """The attempt was answered, even with only the first message of several."""
        if self._entered:
            self._entered = False
            self._link.breaker.succeeded()
            self._link.budget.earn()
        self._failures_in_a_row = 0
        self._renewed = False

    def failed(self, error: grpc.RpcError, renew: Renew | None = None) -> float:
        """The attempt failed: seconds to wait before the next one. Raises the typed error where there is none."""
        found = self._read(error)
        wait = 0.0 if self._renews(found, renew) else self._pause(found)
        if wait is None:
            raise self.given_up(found) from error
        self._retried(found, wait)
        return wait

    def broke(self, error: grpc.RpcError | failures.WeftError, renew: Renew | None, patient: bool) -> float:
        """A stream that can resume broke, or said why it ends: as `failed`, but as often as the caller is `patient`."""
        found = error if isinstance(error, failures.WeftError) else self._read(error)
        aged = isinstance(found, failures.DeadlineExceeded) and monotonic() < self._end
        wait = 0.0 if self._renews(found, renew) else None
        if wait is None and patient and (aged or _passing(found)):
            wait = max(self._link.retries.pause(max(1, self._failures_in_a_row)), found.retry_after or 0.0)
        if wait is None or monotonic() + wait >= self._end:
            raise self.given_up(found) from (None if found is error else error)
        self._retried(found, wait)
        return wait

    def given_up(self, found: failures.WeftError) -> failures.WeftError:
        """This error is the outcome."""
        self._code, self._error = found.code.name, found
        return found

    def end(self) -> None:
        """The call is over, regardless of outcome; more than once where a stream is closed beside its reader."""
        if self._entered:
            self._entered = False
            self._link.breaker.cancelled()
        if self._ended:
            return
        self._ended = True
        telemetry.end(self._span, self._method, self._code, self.attempts, monotonic() - self._started, self._error)

    def _read(self, error: grpc.RpcError) -> failures.WeftError:
        """The typed error of a failed attempt, after telling the breaker."""
        found = failures.from_rpc_error(error, self.request_id, self.attempts)
        status: Any = error  # RpcError promises nothing; both flavours' errors are calls
        self._judge(status.code(), found)
        return found

    def _judge(self, code: grpc.StatusCode, found: failures.WeftError) -> None:
        if not self._entered:
            return
        self._entered = False
        late = code is grpc.StatusCode.DEADLINE_EXCEEDED
        if late and self._hurried and self._end - self._begun < _FAIR_S:
            self._link.breaker.cancelled()
        elif code in UNHEALTHY and type(found) is not failures.ResourceExhausted:  # which is a message's own fault
            self._link.breaker.failed()
        elif code is grpc.StatusCode.CANCELLED:
            self._link.breaker.cancelled()
        else:
            self._link.breaker.succeeded()

    def _renews(self, found: failures.WeftError, renew: Renew | None) -> bool:
        """Whether other credentials are worth one more attempt: a refused call did nothing, so it may repeat."""
        if self._renewed or renew is None or not isinstance(found, failures.Unauthenticated):
            return False
        self._renewed = True
        return renew(self._authorized)

    def _pause(self, found: failures.WeftError) -> float | None:
        """Seconds to wait, or None where trying again is unsafe, hopeless or too much."""
        retries = self._link.retries
        if (
            not (self._method.repeatable or self._method.keyed)
            or not _passing(found)
            or self._failures_in_a_row >= retries.attempts
        ):
            return None
        wait = max(retries.pause(self._failures_in_a_row), found.retry_after or 0.0)
        if monotonic() + wait >= self._end or not self._link.budget.spend():
            return None
        return wait

    def _retried(self, found: failures.WeftError, wait: float) -> None:
        name = found.code.name
        log.info("%s: attempt %d failed with %s, next in %.3f s", self._method.name, self.attempts, name, wait)
        telemetry.retried(self._span, name, wait)


def _passing(found: failures.WeftError) -> bool:
    """Whether a fault passes by itself: out of reach, or a service that says when to come back."""
    if isinstance(found, failures.Unavailable):
        return not isinstance(found, failures.UntrustedServer)
    return found.retry_after is not None and isinstance(found, failures.RateLimited | failures.Conflict)
