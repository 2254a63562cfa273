"""Counts the calls of partners' clients, by day, method and outcome.

Counted in the process, and reported to the user service once a minute and at the end: no call waits, and no call writes. A
report that fails is sent again as it was, under its id, by which it takes effect once. What is lost with a process that is
killed is what it has counted in the last minute.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from prometheus_client import Counter

from chassis import ids
from chassis.faults import catalogue, switches
from chassis.telemetry.logs import logger

INTERVAL_S = 60.0
MAX_KEYS = 20_000
"""Counted at a time: 5 MB. A call that would add one more is not counted."""
MAX_ROWS = 500
"""In a report."""
MAX_REPORTS = 100
"""That wait for the user service; the oldest is dropped for one more."""
_STOP_S = 2.0
_DAY_S = 86_400

LOST = Counter("weft_usage_lost_calls", "Calls of partners' clients that were counted or reported nowhere.")
log = logger("usage")


class Counted(NamedTuple):
    """Calls of a client on a day (a number since 1970, UTC), of one method and with one outcome (the name of a gRPC code)."""

    day: int
    partner_id: str
    client_id: str
    mode: str
    method: str
    outcome: str


class Report(NamedTuple):
    """Some counts, to be added once."""

    report_id: str
    rows: Sequence[tuple[Counted, int]]


Send = Callable[[Report], Awaitable[None]]


class Usage:
    """The counts of a process, and the reports that are not received yet."""

    def __init__(self, send: Send | None = None) -> None:
        """Without `send` nothing is counted."""
        self._send = send
        self._counts: dict[Counted, int] = {}
        self._reports: deque[Report] = deque()
        self._failing = False

    def use(self, send: Send) -> None:
        """Replace the receiver: the user service stores its own."""
        self._send = send

    def count(self, partner_id: str, client_id: str, mode: str, method: str, outcome: str) -> None:
        """One call of a partner's client."""
        if self._send is None:
            return
        day = int(time.time()) // _DAY_S
        key = Counted(day, partner_id, client_id, mode, method, outcome)
        if key in self._counts and not switches.on(catalogue.USAGE_LOST):
            self._counts[key] += 1
        elif len(self._counts) < MAX_KEYS and not switches.on(catalogue.USAGE_LOST):
            self._counts[key] = 1
        else:
            LOST.inc()

    async def run(self) -> None:
        """Report every minute, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self.flush()

    async def stop(self) -> None:
        """Report what is left, if it is received soon."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self.flush()

    async def flush(self) -> None:
        """Report what was counted. Never raises."""
        rows, self._counts = list(self._counts.items()), {}
        for start in range(0, len(rows), MAX_ROWS):
            self._reports.append(Report(ids.new("rpt"), rows[start : start + MAX_ROWS]))
        while len(self._reports) > MAX_REPORTS:
            LOST.inc(sum(calls for _, calls in self._reports.popleft().rows))
        try:
            while self._reports and self._send is not None:
                await self._send(self._reports[0])
                self._reports.popleft()
            self._failing = False
        except Exception as error:
            if not self._failing:
                log.warning("usage_not_reported", cause=type(error).__name__)
            self._failing = True
