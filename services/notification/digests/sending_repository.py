"""Every query of digests that are sent. A digest is one delivery to the worker, whose result is that of all its members."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, bindparam, func, update

from chassis.storage.database import Database, Query, Row
from services.notification.deliveries.domain import Delivery, DeliveryResult, DeliveryState
from services.notification.deliveries.repository import (
    COLUMNS,
    MAYBE_SENT_BY,
    NEXT,
    DeliveryRepository,
    failing_dead,
    read,
)
from services.notification.digests.tables import digest_jobs, digests

# From here on nothing is added. Whoever adds something at this moment is waited for.
# any owner: the worker sends everybody's digests
_CLOSE = Query(
    update(digests)
    .where(digests.c.digest_id == any_(bindparam("ids", type_=ARRAY(Text))))
    .values(closed_at=func.coalesce(digests.c.closed_at, bindparam("now")))
    .returning(digests.c.digest_id, digests.c.closed_at),
    name="close digests",
)
# `digest_id <> ''` is the condition of the index.
_MEMBERS = (
    "d.digest_id = ANY(%(ids)s) AND d.digest_id <> '' AND n.notification_id = d.notification_id "
    "AND (d.state IN ('SCHEDULED', 'QUEUED', 'SENDING')"
)
# What is of no use any more ends, and the next channel has it. What failed is sent again where an operator has replayed the job, as
# of single deliveries. Each has its own lease.
# any owner: as above
_CLAIM = Query(
    "WITH expired AS (UPDATE deliveries d SET state = 'EXPIRED', update_time = %(now)s FROM notifications n "  # noqa: S608 - our own names
    f"WHERE {_MEMBERS}) AND n.expire_at <= %(now)s RETURNING d.delivery_id, d.notification_id, d.lease"
    f"), next AS ({NEXT.format(ended='expired d', of='')}) "
    "UPDATE deliveries d SET state = 'SENDING', lease = d.lease + 1, update_time = %(now)s, "
    f"maybe_sent_by = {MAYBE_SENT_BY} FROM notifications n WHERE {_MEMBERS} OR d.state = 'FAILED' AND n.observer <> '') "
    f"AND (n.expire_at IS NULL OR n.expire_at > %(now)s) RETURNING d.digest_id, {COLUMNS}",
    name="claim deliveries of digests",
)
_FAIL_DEAD = failing_dead(digest_jobs, "digest_id", "d.state IN ('SCHEDULED', 'SENDING')")


class SendingDigestRepository:
    """Digests as the deliveries of a worker, in place of `DeliveryRepository`."""

    def __init__(self, database: Database, deliveries: DeliveryRepository) -> None:
        """`deliveries` stores the results."""
        self.ends_jobs = False
        self._database = database
        self._deliveries = deliveries

    async def claim(self, leases: Mapping[str, int], now: datetime) -> Sequence[Delivery]:
        """Close digests, and begin an attempt for those that have members: cancelled and expired ones have dropped out."""
        async with self._database.transaction() as tx:
            closed = {row.digest_id: row.closed_at for row in await tx.all(_CLOSE, ids=list(leases), now=now)}
            rows = await tx.all(_CLAIM, ids=list(closed), provider=self._deliveries.provider, now=now)
        members: dict[str, list[Delivery]] = {}
        for row in sorted(rows, key=_place):
            members.setdefault(row.digest_id, []).append(read(row))
        return [
            replace(of[0], digest_id=digest_id, members=tuple(of), create_time=closed[digest_id], expire_at=None)
            for digest_id, of in members.items()
        ]

    async def update(self, results: Sequence[tuple[Delivery, DeliveryResult]], now: datetime) -> None:
        """Store the result of each digest for all its members; those of one that is tried again wait in it."""
        members = [each for digest, result in results for each in _of_members(digest, result)]
        await self._deliveries.update_with_jobs(members, [], now)

    async def fail_dead(self, now: datetime) -> int:
        """Fail the members of digests whose jobs died without a worker that could store a result; returns their number."""
        return await self._deliveries.fail(_FAIL_DEAD, now)


def _of_members(digest: Delivery, result: DeliveryResult) -> list[tuple[Delivery, DeliveryResult]]:
    waits = result.state is DeliveryState.QUEUED
    return [(member, replace(result, state=DeliveryState.SCHEDULED) if waits else result) for member in digest.members]


def _place(row: Row) -> str:
    return str(row.delivery_id)
