"""Every query that puts deliveries into digests."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from chassis import ids
from chassis.queues.queue import Queue
from chassis.storage.database import Query, Row, Transaction, arrays
from services.notification.channels.channel import Channel
from services.notification.deliveries.domain import Delivery

MAX_SIZE = 50
"""One that has as many is sent immediately; the deliveries of one batch may make it a few more."""

# any owner: of the recipients of claimed deliveries; a digest that closes meanwhile is waited for, and another one is opened
_OPEN = Query(
    "INSERT INTO digests AS g (digest_id, user_id, partner_id, category, channel, size, due, created_at) "
    "SELECT r.id, r.user_id, r.partner_id, r.category, %(channel)s, r.size, r.due, %(now)s FROM unnest(%(ids)s::text[], "
    "%(user_ids)s::text[], %(partner_ids)s::text[], %(categories)s::text[], %(sizes)s::int[], %(dues)s::timestamptz[]) "
    "AS r(id, user_id, partner_id, category, size, due) "
    "WHERE NOT EXISTS (SELECT FROM erased_persons e WHERE e.user_id = r.user_id) "
    "ORDER BY r.user_id, r.partner_id, r.category "
    "ON CONFLICT (user_id, partner_id, category, channel) WHERE closed_at IS NULL DO UPDATE SET size = g.size + EXCLUDED.size "
    "RETURNING digest_id, user_id, partner_id, category, size, due",
    name="open digests",
)
# By lease, as results are stored.
_ADD = Query(
    "UPDATE deliveries d SET state = 'SCHEDULED', reason = '', digest_id = r.digest_id, update_time = %(now)s "
    "FROM unnest(%(ids)s::text[], %(leases)s::int[], %(digests)s::text[]) AS r(delivery_id, lease, digest_id) "
    "WHERE d.delivery_id = r.delivery_id AND d.lease = r.lease AND d.state = 'SENDING'",
    name="add to digests",
)
# any owner: by their ids, which this transaction has locked
_CLOSE_FULL = Query(
    "WITH closed AS (UPDATE digests SET closed_at = %(now)s WHERE digest_id = ANY(%(ids)s) AND size >= %(max)s "
    "RETURNING digest_id) UPDATE digest_jobs j SET due = LEAST(%(now)s, now()) FROM closed WHERE j.key = closed.digest_id "
    "AND j.state = 'ready'",
    name="close full digests",
)

_Group = tuple[str, str, str]


class DigestRepository:
    """Open digests of one channel in the database."""

    def __init__(self, jobs: Queue, channel: Channel) -> None:
        self._jobs = jobs
        self._channel = channel

    async def insert(self, tx: Transaction, deliveries: Sequence[tuple[Delivery, datetime]], now: datetime) -> None:
        """Put claimed deliveries into the open digests of their recipients; one that is opened is due at the given time."""
        groups: dict[_Group, list[tuple[Delivery, datetime]]] = {}
        for delivery, due in deliveries:
            groups.setdefault(_group_of(delivery), []).append((delivery, due))
        opening = [(ids.new("dgs", now), *group, len(of), min(due for _, due in of)) for group, of in groups.items()]
        names = ("ids", "user_ids", "partner_ids", "categories", "sizes", "dues")
        values = dict(zip(names, arrays(opening), strict=True))
        open_ones = await tx.all(_OPEN, channel=self._channel.value, now=now, **values)
        await self._fill(tx, open_ones, groups, now)
        new = {digest_id for digest_id, *_ in opening}
        for row in open_ones:
            if row.digest_id in new:
                await self._jobs.put(tx, kind="digest", key=row.digest_id, payload=b"", traceparent="", due=row.due)
        if full := [row.digest_id for row in open_ones if row.size >= MAX_SIZE]:
            await tx.run(_CLOSE_FULL, ids=full, max=MAX_SIZE, now=now)
            tx.after_commit(self._jobs.notify)

    async def _fill(
        self,
        tx: Transaction,
        open_ones: Sequence[Row],
        groups: Mapping[_Group, Sequence[tuple[Delivery, datetime]]],
        now: datetime,
    ) -> None:
        members = [
            (delivery.delivery_id, delivery.lease, row.digest_id)
            for row in open_ones
            for delivery, _ in groups[row.user_id, row.partner_id, row.category]
        ]
        if members:
            delivery_ids, leases, digests = arrays(members)
            await tx.run(_ADD, ids=delivery_ids, leases=leases, digests=digests, now=now)


def _group_of(delivery: Delivery) -> _Group:
    return delivery.user_id, delivery.partner_id, delivery.category.value
