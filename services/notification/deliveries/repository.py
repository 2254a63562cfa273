"""Every query on deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import Table

from chassis.queues import statements
from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, Row, Transaction, arrays
from services.notification import categories
from services.notification.deliveries.domain import Delivery, DeliveryResult
from services.notification.deliveries.tables import email_jobs

COLUMNS = (
    "d.delivery_id, d.lease, n.user_id, n.type, n.data, d.create_time, n.category, n.partner_id, n.mode, n.expire_at, "
    "n.every_channel, n.content_sealed, n.template_id, n.template_version, n.subject_id, d.maybe_sent_by"
)
"""Of deliveries `d` and their notifications `n`, as `read` takes them."""
MAYBE_SENT_BY = "CASE WHEN d.state = 'SENDING' AND d.maybe_sent_by = '' THEN %(provider)s ELSE d.maybe_sent_by END"
"""Of a delivery that is claimed: whoever was sending it may have sent it."""

# A delivery that was sent and whose job came back, because its worker died or was late, is not claimed again. Nor is one that
# has failed, unless an operator has replayed the job of an event's: others are queued again first, and may have fallen back.
# What is in a digest is sent by the digest's job, also where its own comes back.
# any owner: the worker delivers everybody's notifications.
_CLAIM = Query(
    "UPDATE deliveries d SET state = 'SENDING', lease = c.lease, update_time = %(now)s, "  # noqa: S608 - our own names
    f"maybe_sent_by = {MAYBE_SENT_BY} FROM notifications n, "
    "unnest(%(ids)s::text[], %(leases)s::int[]) AS c(delivery_id, lease) "
    "WHERE d.delivery_id = c.delivery_id AND n.notification_id = d.notification_id "
    "AND (d.state = 'QUEUED' OR d.digest_id = '' AND (d.state = 'SENDING' OR d.state = 'FAILED' AND n.observer <> '')) "
    f"RETURNING {COLUMNS}",
    name="claim deliveries",
)

# State and lease: a late worker neither overwrites another's result nor ends another's attempt; what it heard is kept. Jobs go
# with the results that end them, locked after their deliveries as everywhere.
_UPDATE = (
    "WITH updated AS (UPDATE deliveries d SET state = r.state, reason = r.reason, update_time = %(now)s, "
    "maybe_sent_by = COALESCE(NULLIF(r.maybe_sent_by, ''), d.maybe_sent_by) "
    "FROM unnest(%(ids)s::text[], %(leases)s::int[], %(states)s::text[], %(reasons)s::text[], %(lost)s::text[]) "
    "AS r(delivery_id, lease, state, reason, maybe_sent_by) "
    "WHERE d.delivery_id = r.delivery_id AND d.lease = r.lease AND d.state = 'SENDING' RETURNING 1), "
    "ended AS ({ending}) INSERT INTO attempts (delivery_id, number, provider, code, latency_ms, response, create_time) "
    "SELECT r.delivery_id, r.number + (SELECT count(*) FROM attempts a WHERE a.delivery_id = r.delivery_id), "
    "r.provider, r.code, r.latency_ms, r.response, %(now)s FROM unnest("
    "%(attempted)s::text[], %(numbers)s::int[], %(providers)s::text[], %(codes)s::int[], %(latencies)s::int[], "
    "%(responses)s::text[]) AS r(delivery_id, number, provider, code, latency_ms, response) ON CONFLICT DO NOTHING"
)
_ENDED = (
    "(SELECT count(*) FROM updated) AS first, unnest(%(ended)s::text[], %(ended_leases)s::int[]) AS done(key, lease)"
)

_ATTEMPTS = ("attempted", "numbers", "providers", "codes", "latencies", "responses")
"""The arrays of `_UPDATE` that tell of attempts."""

# Once for each delivery that has ended while others wait for it, and each time that it has.
NEXT = (
    "INSERT INTO dispatch_jobs (kind, key, payload, traceparent, due, created_at) "
    "SELECT 'go on', d.delivery_id || '/' || d.lease, convert_to(d.notification_id, 'UTF8'), '', LEAST(%(now)s, now()), %(now)s "
    "FROM {ended} WHERE EXISTS (SELECT FROM deliveries w WHERE w.notification_id = d.notification_id "
    "AND w.state IN ('ACCEPTED', 'SCHEDULED')){of} ON CONFLICT (key) DO NOTHING"
)
# Of those that have ended indeed: a late worker's result, too, is followed by this, while another one is sending.
GO_ON = Query(
    NEXT.format(
        ended="deliveries d",
        of=" AND d.delivery_id = ANY(%(ids)s) AND d.state NOT IN ('SCHEDULED', 'QUEUED', 'SENDING')",
    ),
    name="go on to the next channel",
)


def failing_dead(jobs: Table, key: str, unfinished: str) -> Query:
    """Fails deliveries whose jobs are dead: `key` is the column that names those, `unfinished` the condition of what waits for one."""
    return Query(
        "WITH failed AS (UPDATE deliveries d SET state = 'FAILED', reason = 'TOO_MANY_ATTEMPTS', update_time = %(now)s "  # noqa: S608 - our own table
        f"FROM {jobs.name} j "
        f"WHERE j.state = 'dead' AND j.key = d.{key} AND d.{key} <> '' AND ({unfinished}) "
        f"RETURNING d.delivery_id, d.notification_id, d.lease), next AS ({NEXT.format(ended='failed d', of='')}) "
        "SELECT count(*) AS failed FROM failed",
        name="fail dead deliveries",
    )


class Collects(Protocol):
    """Where deliveries go that are said together."""

    async def insert(self, tx: Transaction, deliveries: Sequence[tuple[Delivery, datetime]], now: datetime) -> None: ...


class DeliveryRepository:
    def __init__(
        self,
        database: Database,
        provider: str,
        dispatch_jobs: Queue,
        jobs: Table = email_jobs,
        digests: Collects | None = None,
    ) -> None:
        """`provider` is the preferred one, to which what a worker was sending when it died may have gone. `jobs` is the queue of
        the channel, and `digests` are what it can put off.
        """
        self._dispatch_jobs = dispatch_jobs
        self._digests = digests
        self._update = Query(_UPDATE.format(ending=statements.deleting(jobs.name, _ENDED)), name="update deliveries")
        self._fail_dead = failing_dead(
            jobs, "delivery_id", "d.state = 'QUEUED' OR d.state = 'SENDING' AND d.digest_id = ''"
        )
        self._database = database
        self.provider = provider
        self.ends_jobs = True

    async def claim(self, leases: Mapping[str, int], now: datetime) -> Sequence[Delivery]:
        """Begin an attempt for those of the ids that are neither sent nor skipped."""
        rows = await self._database.all(
            _CLAIM, ids=list(leases), leases=list(leases.values()), provider=self.provider, now=now
        )
        return [read(row) for row in rows]

    async def update(self, results: Sequence[tuple[Delivery, DeliveryResult]], now: datetime) -> None:
        """Store the results of claimed deliveries with the providers' responses, and delete the jobs that they end."""
        await self.update_with_jobs(
            results, [(delivery.job_key, delivery.lease) for delivery, r in results if r.ends_job], now
        )

    async def update_with_jobs(
        self, results: Sequence[tuple[Delivery, DeliveryResult]], jobs: Sequence[tuple[str, int]], now: datetime
    ) -> None:
        """The same with the jobs to delete, as keys and leases."""
        collected = [(delivery, r.digest_due) for delivery, r in results if r.digest_due is not None]
        ended = [
            (d.delivery_id, d.lease, r.state.value, r.reason.value, r.maybe_sent_by)
            for d, r in results
            if r.digest_due is None
        ]
        names = ("ids", "leases", "states", "reasons", "lost")
        values = dict(zip(names, arrays(ended) or [[]] * len(names), strict=True))
        attempts = [
            (delivery.delivery_id, number, response.provider, response.code, response.latency_ms, response.text)
            for delivery, result in results
            for number, response in enumerate(result.responses, start=1)
        ]
        values |= dict(zip(_ATTEMPTS, arrays(attempts) or [[]] * len(_ATTEMPTS), strict=True))
        values |= dict(zip(("ended", "ended_leases"), arrays(jobs) or [[], []], strict=True))
        falling_back = [delivery.delivery_id for delivery, r in results if delivery.falls_back and r.is_final]
        if not falling_back and not collected:
            await self._database.run(self._update, **values, now=now)
            return
        async with self._database.transaction() as tx:
            if collected and self._digests is not None:
                await self._digests.insert(tx, collected, now)
            await tx.run(self._update, **values, now=now)
            if falling_back:
                await tx.run(GO_ON, ids=falling_back, now=now)
                tx.after_commit(self._dispatch_jobs.notify)

    async def fail_dead(self, now: datetime) -> int:
        """Fail deliveries whose jobs died without a worker that could store a result; returns their number."""
        return await self.fail(self._fail_dead, now)

    async def fail(self, dead: Query, now: datetime) -> int:
        """Run one of `failing_dead`; returns how many it has failed."""
        failed = int((await self._database.one(dead, now=now)).failed)
        if failed:
            self._dispatch_jobs.notify()
        return failed


def read(row: Row) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        lease=row.lease,
        user_id=row.user_id,
        type=row.type,
        data=row.data,
        create_time=row.create_time,
        category=categories.read(row.category, row.type),
        partner_id=row.partner_id,
        mode=row.mode,
        expire_at=row.expire_at,
        falls_back=not row.every_channel,
        content_sealed=row.content_sealed,
        template_id=row.template_id,
        template_version=row.template_version,
        subject_id=row.subject_id,
        maybe_sent_by=row.maybe_sent_by,
    )
