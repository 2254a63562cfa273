"""Every query on deliveries as the senders of their notifications see them; each has its owner."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Table

from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, Row, Transaction
from services.notification.channels.channel import Channel
from services.notification.ownership import KINDS, Owner, notifications_of

MAX_RETRIED = 1000
_COLUMNS = "d.delivery_id, d.notification_id, d.channel, d.state, d.reason, d.create_time, d.update_time"
_FINAL_SKIPS = "'TEST_MODE', 'DUPLICATE', 'NOT_NEEDED', 'REQUEST_ENDED'"
_RETRIABLE = f"(d.state IN ('FAILED', 'BOUNCED') OR d.state = 'SKIPPED' AND d.reason NOT IN ({_FINAL_SKIPS})) AND d.channel <> 'INBOX'"
_LIST = {
    kind: Query(
        f"SELECT {_COLUMNS} FROM deliveries d JOIN notifications n USING (notification_id) "  # noqa: S608 - our own names
        f"WHERE d.notification_id = %(id)s AND {notifications_of(kind)} AND d.delivery_id > %(after)s "
        "ORDER BY d.delivery_id LIMIT %(limit)s",
        name="list deliveries",
    )
    for kind in KINDS
}
_LOCK = {
    kind: Query(
        f"SELECT {_COLUMNS} FROM deliveries d JOIN notifications n USING (notification_id) "  # noqa: S608 - our own names
        f"WHERE d.delivery_id = %(id)s AND d.notification_id = %(notification_id)s AND {notifications_of(kind)} "
        "FOR UPDATE OF d",
        name="lock delivery",
    )
    for kind in KINDS
}
_ATTEMPTS = Query(
    "SELECT delivery_id, number, provider, code, latency_ms, response, create_time FROM attempts "
    "WHERE delivery_id = ANY(%(ids)s) ORDER BY delivery_id, number",
    name="list attempts",
)
_EVENTS = Query(
    "SELECT e.delivery_id, e.provider, e.kind, e.code, e.created_at FROM unnest(%(ids)s::text[]) AS d(delivery_id), LATERAL ("
    "SELECT v.provider, v.delivery_id, v.kind, v.code, v.created_at FROM delivery_events v WHERE v.delivery_id = d.delivery_id ORDER BY v.created_at, v.event_id LIMIT 50) e",
    name="list events of deliveries",
)
_CANCEL = Query(
    "UPDATE deliveries SET state = 'CANCELLED', update_time = %(now)s WHERE notification_id = %(id)s "
    "AND state IN ('ACCEPTED', 'SCHEDULED', 'QUEUED')",
    name="cancel deliveries",
)
_QUEUE_AGAIN = Query(
    "UPDATE deliveries SET state = 'QUEUED', reason = '', maybe_sent_by = '', update_time = %(now)s WHERE delivery_id = ANY(%(ids)s)",
    name="queue deliveries again",
)
_UNSENT = "d.state IN ('FAILED', 'BOUNCED', 'SKIPPED') AND d.update_time >= %(changed_from)s AND d.update_time < %(changed_to)s"
_FILTERS = {
    "channel": "d.channel = %(channel)s",
    "category": "n.category = %(category)s",
    "reason": "d.reason = %(reason)s",
}
_CAPTURED = (
    "SELECT d.delivery_id, d.notification_id, d.channel, d.create_time, n.type, n.user_id, n.data, n.content_sealed, n.template_id, n.template_version, "  # noqa: S608 - our own names
    "n.notification_id || ' ' || d.delivery_id AS place FROM notifications n JOIN deliveries d USING (notification_id) "
    f"WHERE {notifications_of('partner')} AND n.mode = 'TEST' AND d.state = 'SKIPPED' AND d.reason = 'TEST_MODE' "
    "AND (n.notification_id, d.delivery_id) < (%(notification_id)s, %(delivery_id)s){of_user} "
    "ORDER BY n.notification_id DESC, d.delivery_id DESC LIMIT %(limit)s"
)
_LIST_CAPTURED = Query(_CAPTURED.replace("{of_user}", ""), name="list captured")
_LIST_CAPTURED_OF_USER = Query(
    _CAPTURED.replace("{of_user}", " AND n.user_id = %(user_id)s"), name="list captured of user"
)


@cache
def _find_unsent(kind: str, retriable: bool, filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    which = _RETRIABLE if retriable else f"NOT ({_RETRIABLE})"
    more = [_FILTERS[name] for name in sorted(filters & _FILTERS.keys())]
    where = " AND ".join([_UNSENT, which, notifications_of(kind), *more])
    return Query(
        "SELECT d.delivery_id, d.channel FROM deliveries d JOIN notifications n USING (notification_id) "  # noqa: S608
        f"WHERE {where} ORDER BY d.update_time LIMIT {MAX_RETRIED + 1}" + (" FOR UPDATE OF d" if retriable else ""),
        name="find unsent deliveries",
    )


def _put_again(jobs: Table) -> Query:
    """Also where the job is leased, by a worker that has stored its result and not told the queue: its lease is over."""
    name = jobs.name
    return Query(
        f"INSERT INTO {name} AS j (kind, key, payload, traceparent, due, created_at) SELECT 'retry', id, '', %(traceparent)s, "  # noqa: S608
        "LEAST(%(now)s, now()), %(now)s FROM unnest(%(ids)s::text[]) AS id ON CONFLICT (key) DO UPDATE SET state = 'ready', "
        "attempts = j.attempts + 1, excused = j.attempts + 1, overruns = 0, due = EXCLUDED.due, leased_until = NULL, "
        "finished_at = NULL",
        name=f"put again {name}",
    )


class RequestedDeliveryRepository:
    """Deliveries in the database."""

    def __init__(self, database: Database, jobs: Mapping[Channel, Queue]) -> None:
        """`jobs` are the queues of the channels."""
        self._database = database
        self._jobs = jobs
        self._put_again = {channel: _put_again(queue.table) for channel, queue in jobs.items()}

    async def list(self, owner: Owner, notification_id: str, limit: int, after: str) -> Sequence[Row]:
        """Those of one of the owner's notifications, in order of preference of their channels."""
        return await self._database.all(_LIST[owner.kind], id=notification_id, limit=limit, after=after, **owner.values)

    async def attempts(self, delivery_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """By delivery, the oldest first."""
        return _by_delivery(await self._database.all(_ATTEMPTS, ids=[*delivery_ids]))

    async def events(self, delivery_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """What providers have said of them: by delivery, the oldest first."""
        return _by_delivery(await self._database.all(_EVENTS, ids=[*delivery_ids]))

    async def lock(self, tx: Transaction, owner: Owner, notification_id: str, delivery_id: str) -> Row | None:
        """One of the owner's, which nobody else changes meanwhile."""
        return await tx.first(_LOCK[owner.kind], id=delivery_id, notification_id=notification_id, **owner.values)

    async def cancel(self, tx: Transaction, notification_id: str, now: datetime) -> int:
        """How many were cancelled. One that a worker is sending goes on."""
        return await tx.run(_CANCEL, id=notification_id, now=now)

    async def find_unsent(
        self, tx: Transaction, owner: Owner, filters: Mapping[str, Any], *, retriable: bool
    ) -> Sequence[Row]:
        """Up to one more than `MAX_RETRIED`, the oldest first; those that are retriable are locked."""
        query = _find_unsent(owner.kind, retriable, frozenset(filters))
        return await tx.all(query, **filters, **owner.values)

    async def retry(self, tx: Transaction, rows: Sequence[Row], traceparent: str, now: datetime) -> None:
        """Queue locked deliveries again, in any state of their jobs."""
        await tx.run(_QUEUE_AGAIN, ids=[row.delivery_id for row in rows], now=now)
        for channel, jobs in self._jobs.items():
            if delivery_ids := [row.delivery_id for row in rows if row.channel == channel.value]:
                await tx.run(self._put_again[channel], ids=delivery_ids, traceparent=traceparent, now=now)
                tx.after_commit(jobs.notify)

    async def captured(self, owner: Owner, limit: int, after: str, user_id: str) -> Sequence[Row]:
        """What was not sent because it was in TEST, newest first."""
        notification_id, _, delivery_id = after.partition(" ")
        query = _LIST_CAPTURED_OF_USER if user_id else _LIST_CAPTURED
        values = {**owner.values, **({"user_id": user_id} if user_id else {})}
        return await self._database.all(
            query, limit=limit, notification_id=notification_id, delivery_id=delivery_id, **values
        )


def _by_delivery(rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.delivery_id, []).append(row)
    return found
