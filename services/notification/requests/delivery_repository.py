"""Every query on deliveries as the senders of their notifications see them; each has its owner."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    literal_column,
    select,
    tuple_,
    update,
)

from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, Row, Transaction, constant, oldest_first
from services.notification.channels.channel import Channel
from services.notification.deliveries.tables import attempts, deliveries
from services.notification.notifications.tables import notifications
from services.notification.ownership import Owner, of_owner

MAX_RETRIED = 1000
_n, _d, _a = notifications.c, deliveries.c, attempts.c
_COLUMNS = (
    _d.delivery_id,
    _d.notification_id,
    _d.channel,
    _d.state,
    _d.reason,
    _d.digest_id,
    _d.create_time,
    _d.update_time,
)


def _in(column: ColumnElement[str], *values: str) -> ColumnElement[bool]:
    return column.in_([constant(value) for value in values])


_skip_is_final = _in(_d.reason, "TEST_MODE", "DUPLICATE", "NOT_NEEDED", "REQUEST_ENDED")
_retriable = (_in(_d.state, "FAILED", "BOUNCED") | (_d.state == constant("SKIPPED")) & ~_skip_is_final) & (
    _d.channel != constant("INBOX")
)
# As in the condition of the index.
_unsent = _in(_d.state, "FAILED", "BOUNCED", "SKIPPED")
_FILTERS = {
    "changed_from": _d.update_time >= bindparam("changed_from"),
    "changed_to": _d.update_time < bindparam("changed_to"),
    "channel": _d.channel == bindparam("channel"),
    "category": _n.category == bindparam("category"),
    "reason": _d.reason == bindparam("reason"),
}


def _select(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).join_from(deliveries, notifications, _n.notification_id == _d.notification_id)


@cache
def _list(kind: str) -> Query:
    found = _select(*_COLUMNS).where(_d.notification_id == bindparam("notification_id"), of_owner(kind, notifications))
    return Query(oldest_first(found, _d.delivery_id), name="list deliveries")


@cache
def _lock(kind: str) -> Query:
    return Query(
        _select(*_COLUMNS)
        .where(
            _d.delivery_id == bindparam("delivery_id"),
            _d.notification_id == bindparam("notification_id"),
            of_owner(kind, notifications),
        )
        .with_for_update(of=deliveries),
        name="lock delivery",
    )


@cache
def _list_unsent(kind: str, retriable: bool, filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan. What is retriable is locked."""
    found = (
        _select(_d.delivery_id, _d.channel)
        .where(_unsent, _retriable if retriable else ~_retriable, of_owner(kind, notifications))
        .where(*(_FILTERS[name] for name in sorted(filters)))
        .order_by(_d.update_time)
        .limit(literal_column(str(MAX_RETRIED + 1)))
    )
    return Query(found.with_for_update(of=deliveries) if retriable else found, name="list unsent deliveries")


@cache
def _list_captured(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    place = _n.notification_id + constant(" ") + _d.delivery_id
    contents = (_n.type, _n.user_id, _n.data, _n.content_sealed, _n.template_id, _n.template_version)
    return Query(
        _select(_d.delivery_id, _d.notification_id, _d.channel, _d.create_time, *contents, place.label("place"))
        .where(of_owner("partner", notifications), *(_FILTERS_OF_CAPTURED[name] for name in sorted(filters)))
        .where(_n.mode == constant("TEST"), _d.state == constant("SKIPPED"), _d.reason == constant("TEST_MODE"))
        .where(
            tuple_(_n.notification_id, _d.delivery_id)
            < tuple_(bindparam("notification_id", type_=Text), bindparam("delivery_id", type_=Text))
        )
        .order_by(_n.notification_id.desc(), _d.delivery_id.desc())
        .limit(bindparam("limit")),
        name="list captured",
    )


_FILTERS_OF_CAPTURED = {"user_id": _n.user_id == bindparam("user_id")}
_LIST_ATTEMPTS = Query(
    select(attempts)
    .where(_a.delivery_id == any_(bindparam("delivery_ids", type_=ARRAY(Text))))
    .order_by(_a.delivery_id, _a.number),
    name="list attempts",
)
_LIST_EVENTS = Query(
    "SELECT e.delivery_id, e.provider, e.kind, e.code, e.created_at FROM unnest(%(delivery_ids)s::text[]) AS d(delivery_id), LATERAL ("
    "SELECT v.provider, v.delivery_id, v.kind, v.code, v.created_at FROM delivery_events v WHERE v.delivery_id = d.delivery_id "
    "ORDER BY v.created_at, v.event_id LIMIT 50) e",
    name="list events of deliveries",
)
_CANCEL = Query(
    update(deliveries)
    .where(
        _d.notification_id == bindparam("of_notification"),
        _in(_d.state, "ACCEPTED", "SCHEDULED", "QUEUED"),
    )
    .values(state=constant("CANCELLED"), update_time=bindparam("now")),
    name="cancel deliveries",
)
_QUEUE_AGAIN = Query(
    update(deliveries)
    .where(_d.delivery_id == any_(bindparam("delivery_ids", type_=ARRAY(Text))))
    .values(
        state=constant("QUEUED"),
        reason=constant(""),
        maybe_sent_by=constant(""),
        digest_id=constant(""),
        lease=_d.lease + 1,
        update_time=bindparam("now"),
    ),
    name="queue deliveries again",
)


def _put_again(jobs: Table) -> Query:
    """Of deliveries that are queued again. Also where a job is leased, by a worker that has stored its result and not told the queue.

    That lease is over. The numbers of a delivery's leases go on where its job is gone: none comes twice.
    """
    name = jobs.name
    # any owner: of deliveries that were locked for their owner
    return Query(
        f"INSERT INTO {name} AS j (kind, key, payload, traceparent, due, created_at, attempts, excused) "  # noqa: S608
        "SELECT n.type, d.delivery_id, '', %(traceparent)s, LEAST(%(now)s, now()), %(now)s, d.lease, d.lease "
        "FROM unnest(%(ids)s::text[]) AS id JOIN deliveries d ON d.delivery_id = id JOIN notifications n USING (notification_id) "
        "ON CONFLICT (key) DO UPDATE SET state = 'ready', attempts = GREATEST(j.attempts + 1, EXCLUDED.attempts), "
        "excused = GREATEST(j.attempts + 1, EXCLUDED.attempts), overruns = 0, due = EXCLUDED.due, leased_until = NULL, "
        "finished_at = NULL",
        name=f"put again {name}",
    )


class RequestedDeliveryRepository:
    def __init__(self, database: Database, jobs: Mapping[Channel, Queue]) -> None:
        """`jobs` are the queues of the channels."""
        self._database = database
        self._jobs = jobs
        self._put_again = {channel: _put_again(queue.table) for channel, queue in jobs.items()}

    async def list(self, owner: Owner, notification_id: str, limit: int, after: str) -> Sequence[Row]:
        """Up to `limit` deliveries of the owner's notification after one, in order of preference of their channels."""
        values = {"notification_id": notification_id, **owner.values}
        return await self._database.all(_list(owner.kind), limit=limit, after=after, **values)

    async def list_attempts(self, delivery_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """By delivery, the oldest first."""
        return _by_delivery(await self._database.all(_LIST_ATTEMPTS, delivery_ids=[*delivery_ids]))

    async def list_events(self, delivery_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """What providers have said of them: by delivery, the oldest first."""
        return _by_delivery(await self._database.all(_LIST_EVENTS, delivery_ids=[*delivery_ids]))

    async def list_captured(self, owner: Owner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` deliveries in TEST that were not sent before the `place` `after`, newest first. `filters`: `user_id`."""
        notification_id, _, delivery_id = after.partition(" ")
        values = {"notification_id": notification_id, "delivery_id": delivery_id, **filters, **owner.values}
        return await self._database.all(_list_captured(frozenset(filters)), limit=limit, **values)

    async def list_unsent(
        self, tx: Transaction, owner: Owner, filters: Mapping[str, Any], *, retriable: bool
    ) -> Sequence[Row]:
        """Up to one more than `MAX_RETRIED`, the oldest first; those that are retriable are locked.

        `filters`: `changed_from`, `changed_to` (times), `channel`, `category`, `reason`.
        """
        query = _list_unsent(owner.kind, retriable, frozenset(filters))
        return await tx.all(query, **filters, **owner.values)

    async def lock(self, tx: Transaction, owner: Owner, notification_id: str, delivery_id: str) -> Row | None:
        """A delivery of the owner's notification, locked until the transaction ends."""
        values = {"notification_id": notification_id, "delivery_id": delivery_id, **owner.values}
        return await tx.first(_lock(owner.kind), **values)

    async def cancel(self, tx: Transaction, notification_id: str, now: datetime) -> int:
        """How many were cancelled. One that a worker is sending goes on."""
        return await tx.run(_CANCEL, of_notification=notification_id, now=now)

    async def retry(self, tx: Transaction, rows: Sequence[Row], traceparent: str, now: datetime) -> None:
        """Queue locked deliveries again, in any state of their jobs."""
        await tx.run(_QUEUE_AGAIN, delivery_ids=[row.delivery_id for row in rows], now=now)
        for channel, jobs in self._jobs.items():
            if delivery_ids := [row.delivery_id for row in rows if row.channel == channel.value]:
                await tx.run(self._put_again[channel], ids=delivery_ids, traceparent=traceparent, now=now)
                tx.after_commit(jobs.notify)


def _by_delivery(rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.delivery_id, []).append(row)
    return found
