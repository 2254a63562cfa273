"""Revoked access tokens: a list in the process, against which every call with a token is held.

The user service pushes revocations over a stream. Each names a subject of tokens (a session, user, client or partner) and a
generation: tokens of an older one are refused. Generations are counted where tokens are issued, so no clock decides, and a
token that is issued after a revocation is never refused by it. A revocation ends when the last token that it refuses has
expired, so the list stays short.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import NamedTuple

from prometheus_client import Gauge
from weft_internal import InternalWeft

from chassis.errors import RevocationsUnavailable, TokenRevoked
from chassis.faults import catalogue, switches
from chassis.security.identity import Identity
from chassis.telemetry.logs import logger

MAX_AGE_S = 60.0
"""Seconds without word from the user service after which calls that change something are refused."""
SILENCE_S = 3.0
"""Seconds without a message after which the stream is opened again; there is a heartbeat every second."""
RETRY_INTERVAL_S = 0.25
"""Seconds between two attempts to open the stream."""
FIRST_WAIT_S = 2.0
"""Seconds that a call waits for the first list of a process that has just started."""
MAX_ENTRIES = 200_000
"""In the list: 60 MB. Above it the oldest are dropped, whose tokens have the least time left."""
CANCEL_INTERVAL_S = 0.5
"""Seconds until a stream whose token is revoked, and that goes on, is cancelled again."""
RETRY_AFTER = timedelta(seconds=2)

ENTRIES = Gauge("weft_revocations", "Revocations in force in this process.")
AGE = Gauge("weft_revocations_age_seconds", "Time since the list of revocations was last known to be complete.")
log = logger("revocations")


class Revocation(NamedTuple):
    """Refuses the tokens of a subject whose generation is lower. `expires_at` is in seconds since 1970."""

    subject: str
    generation: int
    expires_at: float


class Batch(NamedTuple):
    """Some revocations, the cursor after them, and whether these are all until now."""

    cursor: str
    revocations: list[Revocation]
    complete: bool


Source = Callable[[str], AsyncGenerator[Batch]]
"""Takes the last cursor, or an empty one, and goes on from there."""


class _Interruption:
    """Cancels the task that makes it, again and again until `end`.

    One cancellation may be lost on the way: `asyncio.wait_for` swallows it, before Python 3.12, where what it waits for is
    done at the same moment, and the connection pool waits so.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._others = task.cancelling()
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Cancel the task, unless that has begun."""
        if self._timer is None:
            self._cancel()

    def end(self) -> bool:
        """Cancel no more; whether this has cancelled the task, and nobody else."""
        if self._timer is None:
            return False
        self._timer.cancel()
        while self._count:
            self._count -= 1
            self._task.uncancel()
        return self._task.cancelling() <= self._others

    def _cancel(self) -> None:
        self._count += 1
        self._task.cancel()
        self._timer = asyncio.get_running_loop().call_later(CANCEL_INTERVAL_S, self._cancel)


class Revocations:
    """The list, and what keeps it up to date."""

    def __init__(self, source: Source, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self.monotonic = monotonic
        self._generations: dict[str, int] = {}
        self._ends: deque[tuple[float, str, int]] = deque()  # in the order of arrival
        self._watchers: dict[str, dict[Callable[[], None], int]] = {}
        self._cursor = ""
        self._complete_at = 0.0
        self._first = asyncio.Event()
        self.ready = False
        """Whether the list was complete once; until then a call should wait for `first`."""

    def use(self, source: Source) -> None:
        """Replace the source: the user service reads its own database."""
        self._source = source

    async def first(self) -> None:
        """Wait for the first complete list, `FIRST_WAIT_S` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT_S):
                await self._first.wait()

    def check(self, caller: Identity, writes: bool) -> None:
        """Raise `TokenRevoked`, or for a call that changes something `RevocationsUnavailable` where the list is too old."""
        if self._generations and not self._generations.keys().isdisjoint(caller.generations):
            for subject, generation in caller.generations.items():
                if generation < self._generations.get(subject, 0):
                    raise TokenRevoked()
        if writes and (not self.ready or self.monotonic() - self._complete_at > MAX_AGE_S):
            raise RevocationsUnavailable(retry_after=RETRY_AFTER)

    @asynccontextmanager
    async def until_revoked(self, caller: Identity) -> AsyncIterator[None]:
        """Break the block off with `TokenRevoked` as soon as the token of the caller is revoked."""
        interruption = _Interruption()
        try:
            with self._watching(caller, interruption.begin):
                yield
        except asyncio.CancelledError:
            if not interruption.end():
                raise
            raise TokenRevoked() from None
        finally:
            interruption.end()

    @contextmanager
    def _watching(self, caller: Identity, end: Callable[[], None]) -> Iterator[None]:
        for subject, generation in caller.generations.items():
            self._watchers.setdefault(subject, {})[end] = generation
        try:
            yield
        finally:
            for subject in caller.generations:
                of_subject = self._watchers[subject]
                of_subject.pop(end)
                if not of_subject:
                    del self._watchers[subject]

    async def follow(self) -> None:
        """Keep the list up to date, until cancelled."""
        lost = False
        while True:
            try:
                async with aclosing(self._source(self._cursor)) as batches:
                    while (batch := await _next(batches)) is not None:
                        self._apply(batch)
                        if lost and batch.complete:
                            log.info("revocations_followed_again", seconds=round(self.age))
                            lost = False
                        self.measure()
            except Exception as error:
                if not lost:
                    log.warning("revocations_lost", cause=type(error).__name__)
                lost = True
            self.measure()
            await asyncio.sleep(RETRY_INTERVAL_S)

    @property
    def age(self) -> float:
        """Seconds since the list was last known to be complete."""
        return self.monotonic() - self._complete_at

    def measure(self) -> None:
        """Set the gauges of the entries and of their age in seconds, which is 0 until the first are complete."""
        ENTRIES.set(len(self._generations))
        AGE.set(self.age if self.ready else 0)

    def _apply(self, batch: Batch) -> None:
        if switches.on(catalogue.REVOCATIONS_STOP):
            return
        now = time.time()
        self._drop(now)
        for subject, generation, expires_at in batch.revocations:
            if expires_at <= now or generation <= self._generations.get(subject, 0):
                continue
            self._generations[subject] = generation
            self._ends.append((expires_at, subject, generation))
            for end, of_token in tuple(self._watchers.get(subject, {}).items()):
                if of_token < generation:
                    end()
        self._cursor = batch.cursor or self._cursor
        if batch.complete:
            self._complete_at = self.monotonic()
            self.ready = True
            self._first.set()

    def _drop(self, now: float) -> None:
        """Forget what is over; one that a later revocation of its subject replaced is only taken off the queue."""
        crowded = len(self._ends) > MAX_ENTRIES
        if crowded:
            log.error("revocations_dropped", count=len(self._ends) - MAX_ENTRIES)
        while self._ends and (self._ends[0][0] <= now or len(self._ends) > MAX_ENTRIES):
            _, subject, generation = self._ends.popleft()
            if self._generations.get(subject) == generation:
                del self._generations[subject]


async def _next(batches: AsyncGenerator[Batch]) -> Batch | None:
    """The next batch, or None at the end. Raises `TimeoutError` when there is none in time."""
    async with asyncio.timeout(SILENCE_S):
        return await anext(batches, None)


def watching(connect: Callable[[], InternalWeft]) -> Source:
    """The stream of the user service. It has a client of its own, whose breaker and channel no other call uses."""

    async def watch(cursor: str) -> AsyncGenerator[Batch]:
        clients = connect()
        try:
            async with clients.revocations.watch_revocations(cursor=cursor) as messages:
                async for message in messages:
                    found = [
                        Revocation(each.subject_id, each.generation, each.expire_time.seconds)
                        for each in message.revocations
                    ]
                    yield Batch(message.cursor, found, message.complete)
        finally:
            await clients.close()

    return watch


async def none(_: str) -> AsyncGenerator[Batch]:
    """A source without revocations, for a service that runs alone."""
    while True:
        yield Batch("", [], complete=True)
        await asyncio.sleep(1)
