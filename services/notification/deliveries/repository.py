"""Every query of deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Table

from chassis.storage.database import Database, Query, Row, arrays
from services.notification import categories
from services.notification.deliveries.domain import Delivery, DeliveryResult
from services.notification.deliveries.tables import email_jobs

# A delivery that was sent and whose job came back, because its worker died or was late, is not claimed again.
# any owner: the worker delivers everybody's notifications.
_CLAIM = Query(
    "UPDATE deliveries d SET state = 'SENDING', lease = c.lease, update_time = %(now)s FROM notifications n, "
    "unnest(%(ids)s::text[], %(leases)s::int[]) AS c(delivery_id, lease) "
    "WHERE d.delivery_id = c.delivery_id AND n.notification_id = d.notification_id "
    "AND d.state NOT IN ('SENT', 'SKIPPED') RETURNING d.delivery_id, d.lease, n.user_id, n.type, n.data, d.create_time, n.category",
    name="claim deliveries",
)

# State and lease: a late worker neither overwrites another's result nor ends another's attempt.
_UPDATE = Query(
    "UPDATE deliveries d SET state = r.state, reason = r.reason, update_time = %(now)s "
    "FROM unnest(%(ids)s::text[], %(leases)s::int[], %(states)s::text[], %(reasons)s::text[]) "
    "AS r(delivery_id, lease, state, reason) "
    "WHERE d.delivery_id = r.delivery_id AND d.lease = r.lease AND d.state = 'SENDING'",
    name="update deliveries",
)
_INSERT_ATTEMPTS = Query(
    "INSERT INTO attempts (delivery_id, number, provider, code, latency_ms, response, create_time) "
    "SELECT r.delivery_id, r.number + (SELECT count(*) FROM attempts a WHERE a.delivery_id = r.delivery_id), "
    "%(provider)s, r.code, r.latency_ms, r.response, %(now)s FROM unnest("
    "%(ids)s::text[], %(numbers)s::int[], %(codes)s::int[], %(latencies)s::int[], %(responses)s::text[]"
    ") AS r(delivery_id, number, code, latency_ms, response) ON CONFLICT DO NOTHING",
    name="insert attempts",
)


def _fail_dead(jobs: Table) -> Query:
    return Query(
        "UPDATE deliveries d SET state = 'FAILED', reason = 'TOO_MANY_ATTEMPTS', update_time = %(now)s "  # noqa: S608 - our own table
        f"FROM {jobs.name} j "
        "WHERE j.state = 'dead' AND j.key = d.delivery_id AND d.state IN ('QUEUED', 'SENDING')",
        name="fail dead deliveries",
    )


class DeliveryRepository:
    """Deliveries in the database."""

    def __init__(self, database: Database, provider: str, jobs: Table = email_jobs) -> None:
        """`provider` is stored with each attempt; `jobs` is the queue of the channel."""
        self._fail_dead = _fail_dead(jobs)
        self._database = database
        self._provider = provider

    async def claim(self, leases: Mapping[str, int], now: datetime) -> list[Delivery]:
        """Begin an attempt for those of the ids that are neither sent nor skipped."""
        rows = await self._database.all(_CLAIM, ids=list(leases), leases=list(leases.values()), now=now)
        return [_read(row) for row in rows]

    async def update(self, results: Sequence[tuple[Delivery, DeliveryResult]], now: datetime) -> None:
        """Store the results of claimed deliveries, with the providers' responses."""
        ids, leases, states, reasons = arrays(
            [(delivery.delivery_id, delivery.lease, r.state.value, r.reason.value) for delivery, r in results]
        )
        attempts = [
            (delivery.delivery_id, number, response.code, response.latency_ms, response.text)
            for delivery, result in results
            for number, response in enumerate(result.responses, start=1)
        ]
        async with self._database.transaction() as tx:
            await tx.run(_UPDATE, ids=ids, leases=leases, states=states, reasons=reasons, now=now)
            if attempts:
                ids, numbers, codes, latencies, responses = arrays(attempts)
                values = {
                    "ids": ids,
                    "numbers": numbers,
                    "codes": codes,
                    "latencies": latencies,
                    "responses": responses,
                }
                await tx.run(_INSERT_ATTEMPTS, provider=self._provider, now=now, **values)

    async def fail_dead(self, now: datetime) -> int:
        """Fail deliveries whose jobs died without a worker that could store a result; returns their number."""
        return await self._database.run(self._fail_dead, now=now)


def _read(row: Row) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        lease=row.lease,
        user_id=row.user_id,
        type=row.type,
        data=row.data,
        create_time=row.create_time,
        category=categories.read(row.category, row.type),
    )
