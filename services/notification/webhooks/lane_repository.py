"""Lanes: what a worker claims is an endpoint, with all that is due for it, and not a delivery.

So an endpoint has one sender at a time in all processes: its rate, its breaker and its order are kept without agreement, and one
that is slow or dead takes a place in a line, not the line. A lease that is not renewed ends in seconds; what its worker had sent
and not stored is sent again with the same id. Results name the lease's number, and those of a lost lease are dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update

from chassis.clock import Clock
from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, Row, arrays
from services.notification.channels.webhook.answer import Answer
from services.notification.endpoints.tables import webhook_endpoints, webhook_lanes
from services.notification.event_log import repository as event_log
from services.notification.event_log.domain import LoggedEvent
from services.notification.webhooks import lane_statements as statements
from services.notification.webhooks.domain import Health, Next

LEASE_S = 10.0
MAX_FAILED = 1000
"""Deliveries of a disabled endpoint that fail in one statement."""

_l, _e = webhook_lanes.c, webhook_endpoints.c
_LOCK = Query(
    select(_l.failures, _l.failing_since)
    .where(_l.endpoint_id == bindparam("endpoint_id"), _l.lease == bindparam("lease"))
    .with_for_update(),
    name="lock lane",
)
# any owner: of an endpoint that the worker has claimed
_LOCK_ENDPOINT = Query(
    select(_e.disable_reason).where(_e.endpoint_id == bindparam("endpoint_id")).with_for_update(), name="lock endpoint"
)
# any owner: of an endpoint that the worker has claimed
_DISABLE = Query(
    update(webhook_endpoints)
    .where(_e.endpoint_id == bindparam("id"))
    .values(disable_reason=bindparam("reason"), version=_e.version + 1, updated_at=bindparam("now")),
    name="disable endpoint",
)
_ATTEMPTS = (
    "ids", "replays", "states", "waits", "numbers", "urls", "statuses", "failures", "latencies", "bodies", "times",
)  # fmt: skip


class Lane(NamedTuple):
    """A claimed endpoint."""

    endpoint_id: str
    lease: int
    failures: int
    failing_since: datetime | None
    suspect: bool
    """In which line it waited."""
    suspended: bool
    """Whether its partner is."""
    endpoint: Row
    """As `EndpointRepository.read` takes it."""


class Stored(Enum):
    """What became of a batch's results, and whether anything is owed still."""

    LEASE_LOST = auto()
    MORE_OWED = auto()
    NOTHING_OWED = auto()


@dataclass(frozen=True)
class Owed:
    """A delivery that is due. Attempts are counted before this one: all, and those of the schedule, which a replay starts again."""

    delivery_id: str
    attempts: int
    scheduled_attempts: int
    replays: int
    traceparent: str
    event: LoggedEvent


@dataclass(frozen=True)
class Attempt:
    """What came of a delivery's attempt, and what follows."""

    owed: Owed
    url: str
    sent_at: datetime
    answer: Answer
    next: Next


@dataclass(frozen=True)
class Disabling:
    """An endpoint is to be disabled; the partner's owners are told by a job with this payload."""

    reason: str
    notice: bytes


class LaneRepository:
    """Lanes and what is due in them."""

    def __init__(self, database: Database, clock: Clock, notices: Queue) -> None:
        """`notices` is the queue of what owners are told."""
        self._database = database
        self._clock = clock
        self._notices = notices

        def query(sql: str, name: str) -> Query:
            # any owner: a delivery goes to its endpoint, with an event of its own partner and mode
            said = {"suspended": statements.SUSPENDED, "running": statements.RUNNING, "columns": statements.COLUMNS}
            return Query(sql.format(now=clock.sql, **said), name=name)

        self._claim = query(statements.CLAIM, "claim lanes")
        self._renew = query(statements.RENEW, "renew lanes")
        self._wait = query(statements.WAIT, "wait for lanes")
        self._list_owed = query(statements.LIST_OWED, "load lane")
        self._finish = query(statements.FINISH, "store webhook results")
        self._rest = query(statements.REST, "rest lane")
        self._fail = query(statements.FAIL, "fail webhooks of disabled endpoint")

    async def claim(self, answering: int, suspected: int) -> Sequence[Lane]:
        """Claim lanes in which something is due, up to these numbers of each line, those first that have waited longest."""
        limits = {"answering": answering, "suspected": suspected}
        rows = await self._database.all(self._claim, **limits, seconds=LEASE_S, now=self._clock.now())
        return [_lane(row) for row in rows]

    async def renew(self, lanes: Sequence[Lane]) -> None:
        """Keep lanes for another `LEASE_S`."""
        ids, leases = [lane.endpoint_id for lane in lanes], [lane.lease for lane in lanes]
        await self._database.run(self._renew, endpoint_ids=ids, leases=leases, seconds=LEASE_S, now=self._clock.now())

    async def wait_s(self) -> float | None:
        """Seconds until something is due in a lane that nobody has; None where nothing will be."""
        row = await self._database.one(self._wait, now=self._clock.now())
        return None if row.seconds is None else max(0.0, float(row.seconds))

    async def list_owed(self, lane: Lane, limit: int) -> Sequence[Owed]:
        """Up to `limit` deliveries that are due, the oldest first."""
        rows = await self._database.all(
            self._list_owed, endpoint_id=lane.endpoint_id, limit=limit, now=self._clock.now()
        )
        return [_owed(row) for row in rows]

    async def finish(
        self,
        lane: Lane,
        attempts: Sequence[Attempt],
        health: Health,
        *,
        wait_s: float,
        suspect: bool,
        disabling: Disabling | None,
    ) -> Stored:
        """Store what came of attempts, and release the lane for `wait_s` at the earliest."""
        now = self._clock.now()
        values = _finished(lane, attempts, health, wait_s=wait_s, suspect=suspect, now=now)
        if disabling is None:
            return _stored(await self._database.first(self._finish, **values))
        async with self._database.transaction() as tx:
            # An endpoint is locked before its lane, as its partner's calls do.
            endpoint = await tx.first(_LOCK_ENDPOINT, endpoint_id=lane.endpoint_id)
            disabled = endpoint is not None and not endpoint.disable_reason
            row = await tx.first(self._finish, **{**values, **({"wait": 0.0} if disabled else {})})
            if row is not None and disabled:
                await tx.run(_DISABLE, id=lane.endpoint_id, reason=disabling.reason, now=now)
                await self._notices.put(tx, kind=disabling.reason, payload=disabling.notice)
        return _stored(row)

    async def rest(self, lane: Lane) -> None:
        """Release the lane of a suspended partner until it is reinstated. New deliveries wake it, and it rests again."""
        async with self._database.transaction() as tx:
            if await tx.first(_LOCK, endpoint_id=lane.endpoint_id, lease=lane.lease) is not None:
                await tx.run(self._rest, endpoint_id=lane.endpoint_id, now=self._clock.now())

    async def fail_owed(self, lane: Lane) -> None:
        """Fail what is due at an endpoint that is disabled, and release its lane."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            endpoint = await tx.first(_LOCK_ENDPOINT, endpoint_id=lane.endpoint_id)
            held = await tx.first(_LOCK, endpoint_id=lane.endpoint_id, lease=lane.lease)
            if endpoint is None or held is None:
                return
            if endpoint.disable_reason:  # it may have been enabled meanwhile
                await tx.run(self._fail, endpoint_id=lane.endpoint_id, limit=MAX_FAILED, now=now)
            health = Health(held.failures, held.failing_since)
            await tx.first(self._finish, **_finished(lane, (), health, wait_s=0.0, suspect=False, now=now))


def _finished(
    lane: Lane, attempts: Sequence[Attempt], health: Health, *, wait_s: float, suspect: bool, now: datetime
) -> dict[str, Any]:
    """The parameters of `statements.FINISH`."""
    rows = [
        (
            a.owed.delivery_id,
            a.owed.replays,
            a.next.state,
            a.next.wait_s,
            a.owed.attempts + 1,
            a.url,
            a.answer.status,
            a.answer.failure,
            a.answer.latency_ms,
            a.answer.body,
            a.sent_at,
        )
        for a in attempts
    ]
    return {
        **dict(zip(_ATTEMPTS, arrays(rows) if rows else [[] for _ in _ATTEMPTS], strict=True)),
        "endpoint_id": lane.endpoint_id,
        "lease": lane.lease,
        "failures_in_a_row": health.failures,
        "failing_since": health.failing_since,
        "suspect": suspect,
        "wait": wait_s,
        "now": now,
    }


def _stored(row: Row | None) -> Stored:
    return Stored.LEASE_LOST if row is None else Stored.MORE_OWED if row.more else Stored.NOTHING_OWED


def _lane(row: Row) -> Lane:
    return Lane(row.endpoint_id, row.lease, row.failures, row.failing_since, row.suspect, row.suspended, row)


def _owed(row: Row) -> Owed:
    return Owed(row.delivery_id, row.attempts, row.tries, row.replays, row.traceparent, event_log.read(row))
