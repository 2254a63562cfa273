"""Lanes: what a worker claims is an endpoint, with all that is due for it, and not a delivery.

So an endpoint has one sender at a time in all processes: its rate, its breaker and its order are kept without agreement, and one
that is slow or dead takes a place in a line, not the line. A lease that is not renewed ends in seconds; what its worker had sent
and not stored is sent again with the same id. Results name the lease's number, and those of a lost lease are dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from chassis.clock import Clock
from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, Row, Transaction, arrays
from services.notification.channels.webhook.answer import Answer
from services.notification.endpoints.tables import webhook_endpoints, webhook_lanes
from services.notification.event_log.domain import LoggedEvent
from services.notification.webhooks.domain import Health, Next

LEASE_S = 10.0
MAX_FAILED = 1000
"""Deliveries of a disabled endpoint that fail in one statement."""

_CLAIM = """
UPDATE webhook_lanes l SET leased_until = {now} + make_interval(secs => %(seconds)s), lease = l.lease + 1 FROM (
  SELECT endpoint_id FROM webhook_lanes WHERE suspect = %(suspect)s AND due <= {now} AND leased_until < {now}
  ORDER BY due LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) c WHERE l.endpoint_id = c.endpoint_id RETURNING l.endpoint_id, l.lease, l.failures, l.failing_since, {suspended} AS suspended
"""
_SUSPENDED = """EXISTS (SELECT FROM webhook_endpoints e JOIN suspensions s ON s.partner_id = e.partner_id
  WHERE e.endpoint_id = l.endpoint_id AND s.suspended)"""
# Asked again with the lane locked: who reinstates a partner first says so, and then wakes its lanes.
_REST = """
UPDATE webhook_lanes l SET leased_until = '-infinity', due = CASE WHEN {suspended} THEN 'infinity' ELSE {now} END
WHERE l.endpoint_id = %(endpoint_id)s
"""
_RENEW = """
UPDATE webhook_lanes l SET leased_until = {now} + make_interval(secs => %(seconds)s)
FROM unnest(%(endpoint_ids)s::text[], %(leases)s::bigint[]) AS r(endpoint_id, lease)
WHERE l.endpoint_id = r.endpoint_id AND l.lease = r.lease AND l.leased_until > '-infinity'
"""
_WAIT = """
SELECT EXTRACT(EPOCH FROM min(due) - {now})::float8 AS seconds FROM (
  (SELECT due FROM webhook_lanes WHERE suspect = false AND due < 'infinity' AND leased_until < {now} ORDER BY due LIMIT 1)
  UNION ALL
  (SELECT due FROM webhook_lanes WHERE suspect = true AND due < 'infinity' AND leased_until < {now} ORDER BY due LIMIT 1)) n
"""
_LOAD = """
SELECT d.delivery_id, d.attempts, d.tries, d.replays, d.traceparent,
  e.event_id, e.partner_id, e.mode, e.type, e.subject_id, e.sequence, e.user_id, e.data, e.occur_time
FROM webhook_deliveries d JOIN webhook_endpoints w ON (w.endpoint_id, w.partner_id, w.mode) = (d.endpoint_id, d.partner_id, d.mode)
JOIN partner_events e ON (e.event_id, e.partner_id, e.mode) = (d.event_id, d.partner_id, d.mode)
WHERE d.endpoint_id = %(endpoint_id)s AND d.state = 'PENDING' AND d.due <= {now} ORDER BY d.due, d.delivery_id LIMIT %(limit)s
"""
_STORE = """
UPDATE webhook_deliveries d SET attempts = d.attempts + 1, update_time = {now},
  tries = CASE WHEN d.replays = r.replays THEN d.tries + 1 ELSE d.tries END,
  state = CASE WHEN d.replays = r.replays THEN r.state ELSE d.state END,
  due = CASE WHEN d.replays = r.replays THEN {now} + make_interval(secs => r.wait) ELSE d.due END
FROM unnest(%(ids)s::text[], %(replays)s::int[], %(states)s::text[], %(waits)s::float8[]) AS r(delivery_id, replays, state, wait)
WHERE d.delivery_id = r.delivery_id
"""
# The lane is locked, and this statement is a new one: it sees every delivery whose transaction has woken the lane before.
_RELEASE = """
UPDATE webhook_lanes SET leased_until = '-infinity', failures = %(failures)s, failing_since = %(failing_since)s,
  suspect = %(suspect)s, paused_until = {now} + make_interval(secs => %(wait)s),
  due = GREATEST({now} + make_interval(secs => %(wait)s), COALESCE((SELECT min(d.due) FROM webhook_deliveries d
    WHERE d.endpoint_id = %(endpoint_id)s AND d.state = 'PENDING'), 'infinity'))
WHERE endpoint_id = %(endpoint_id)s
"""
_FAIL = """
UPDATE webhook_deliveries SET state = 'FAILED', update_time = {now} WHERE state = 'PENDING' AND delivery_id = ANY(ARRAY(
  SELECT delivery_id FROM webhook_deliveries WHERE endpoint_id = %(endpoint_id)s AND state = 'PENDING' LIMIT %(limit)s))
"""
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
_INSERT_ATTEMPTS = Query(
    "INSERT INTO webhook_attempts (delivery_id, number, url, http_status, failure, latency_ms, response_body, create_time) "
    "SELECT r.delivery_id, r.number, r.url, r.http_status, r.failure, r.latency_ms, r.response_body, r.create_time FROM unnest(%(ids)s::text[], %(numbers)s::int[], %(urls)s::text[], %(statuses)s::int[], %(failures)s::text[], "
    "%(latencies)s::int[], %(bodies)s::text[], %(times)s::timestamptz[]) "
    "AS r(delivery_id, number, url, http_status, failure, latency_ms, response_body, create_time) "
    "WHERE EXISTS (SELECT FROM webhook_deliveries d WHERE d.delivery_id = r.delivery_id) "  # any owner: as above
    "ON CONFLICT DO NOTHING",
    name="insert webhook attempts",
)
_ATTEMPTS = ("ids", "numbers", "urls", "statuses", "failures", "latencies", "bodies", "times")


class Lane(NamedTuple):
    """A claimed endpoint."""

    endpoint_id: str
    lease: int
    failures: int
    failing_since: datetime | None
    suspended: bool
    """Whether its partner is."""


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
            return Query(sql.format(now=clock.sql, suspended=_SUSPENDED), name=name)

        self._claim = query(_CLAIM, "claim lanes")
        self._renew = query(_RENEW, "renew lanes")
        self._wait = query(_WAIT, "wait for lanes")
        self._load = query(_LOAD, "load lane")
        self._store = query(_STORE, "store webhook results")
        self._release = query(_RELEASE, "release lane")
        self._rest = query(_REST, "rest lane")
        self._fail = query(_FAIL, "fail webhooks of disabled endpoint")

    async def claim(self, limit: int, *, suspect: bool) -> Sequence[Lane]:
        """Claim up to `limit` lanes in which something is due, those first that have waited longest."""
        rows = await self._database.all(
            self._claim, suspect=suspect, limit=limit, seconds=LEASE_S, now=self._clock.now()
        )
        return [Lane(*row) for row in rows]

    async def renew(self, lanes: Sequence[Lane]) -> None:
        """Keep lanes for another `LEASE_S`."""
        ids, leases = [lane.endpoint_id for lane in lanes], [lane.lease for lane in lanes]
        await self._database.run(self._renew, endpoint_ids=ids, leases=leases, seconds=LEASE_S, now=self._clock.now())

    async def wait_s(self) -> float | None:
        """Seconds until something is due in a lane that nobody has; None where nothing will be."""
        row = await self._database.one(self._wait, now=self._clock.now())
        return None if row.seconds is None else max(0.0, float(row.seconds))

    async def load(self, lane: Lane, limit: int) -> Sequence[Owed]:
        """Up to `limit` deliveries that are due, the oldest first."""
        rows = await self._database.all(self._load, endpoint_id=lane.endpoint_id, limit=limit, now=self._clock.now())
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
    ) -> bool:
        """Store what came of attempts, and release the lane for `wait_s` at the earliest; false where the lease was lost."""
        now, disabled = self._clock.now(), False
        async with self._database.transaction() as tx:
            # An endpoint is locked before its lane, as its partner's calls do.
            endpoint = await tx.first(_LOCK_ENDPOINT, endpoint_id=lane.endpoint_id) if disabling else None
            if await tx.first(_LOCK, endpoint_id=lane.endpoint_id, lease=lane.lease) is None:
                return False
            if attempts:
                await self._insert(tx, attempts, now)
            if disabling and endpoint is not None and not endpoint.disable_reason:
                await tx.run(_DISABLE, id=lane.endpoint_id, reason=disabling.reason, now=now)
                await self._notices.put(tx, kind=disabling.reason, payload=disabling.notice)
                disabled = True
            await tx.run(
                self._release,
                endpoint_id=lane.endpoint_id,
                failures=health.failures,
                failing_since=health.failing_since,
                suspect=suspect,
                wait=0.0 if disabled else wait_s,
                now=now,
            )
        return True

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
            values = {"failures": held.failures, "failing_since": held.failing_since, "suspect": False, "wait": 0.0}
            await tx.run(self._release, endpoint_id=lane.endpoint_id, **values, now=now)

    async def _insert(self, tx: Transaction, attempts: Sequence[Attempt], now: datetime) -> None:
        ids, replays, states, waits = arrays(
            [(a.owed.delivery_id, a.owed.replays, a.next.state, a.next.wait_s) for a in attempts]
        )
        await tx.run(self._store, ids=ids, replays=replays, states=states, waits=waits, now=now)
        rows = [
            (
                a.owed.delivery_id,
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
        await tx.run(_INSERT_ATTEMPTS, **dict(zip(_ATTEMPTS, arrays(rows), strict=True)))


def _owed(row: Row) -> Owed:
    delivery_id, attempts, scheduled, replays, traceparent, *event = row
    return Owed(delivery_id, attempts, scheduled, replays, traceparent, LoggedEvent(*event))
