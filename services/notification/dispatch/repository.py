"""Every query on dispatches."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import bindparam, select

from chassis.queues.queue import Queue
from chassis.storage.database import Database, Query, Row, Transaction, arrays
from services.notification.channels.channel import Channel
from services.notification.deliveries.domain import DeliveryState, Reason
from services.notification.deliveries.tables import deliveries
from services.notification.dispatch.domain import Dispatch, Part

# any owner: the worker dispatches everybody's notifications
_LOCK = Query(
    "SELECT n.notification_id, n.user_id, n.mode, n.every_channel, n.expire_at, EXISTS (SELECT FROM preferences p "
    "WHERE p.user_id = n.user_id AND n.category || '/INBOX' = ANY(p.muted)) AS inbox_is_muted FROM notifications n "
    "WHERE n.notification_id = %(id)s FOR UPDATE OF n",
    name="lock notification to dispatch",
)
_d = deliveries.c
_LIST_PARTS = Query(
    select(_d.delivery_id, _d.channel, _d.state, _d.reason, _d.digest_id)
    .where(_d.notification_id == bindparam("notification_id"))
    .order_by(_d.position),
    name="list deliveries to dispatch",
)
_CHANGE = Query(
    "UPDATE deliveries d SET state = r.state, reason = r.reason, update_time = %(now)s FROM unnest(%(ids)s::text[], "
    "%(states)s::text[], %(reasons)s::text[]) AS r(delivery_id, state, reason) WHERE d.delivery_id = r.delivery_id "
    "AND d.state IN ('ACCEPTED', 'SCHEDULED')",
    name="start deliveries",
)
# any owner: of the dispatched notification
_SHOW = Query(
    "UPDATE notifications SET in_inbox = true, shown_xid = pg_current_xact_id() WHERE notification_id = %(id)s",
    name="show in inbox",
)


class DispatchRepository:
    """Dispatches in the database."""

    def __init__(self, database: Database, jobs: Mapping[Channel, Queue]) -> None:
        """`jobs` are the queues of the channels."""
        self._database = database
        self._jobs = jobs

    async def dispatch(self, notification_id: str, traceparent: str, now: datetime) -> None:
        """Start what is to start now, in one transaction; nothing where the notification is gone."""
        async with self._database.transaction() as tx:
            row = await tx.first(_LOCK, id=notification_id)
            if row is None:
                return
            parts = [_part(each) for each in await tx.all(_LIST_PARTS, notification_id=notification_id)]
            found = Dispatch(
                row.notification_id,
                row.user_id,
                row.mode,
                row.every_channel,
                row.expire_at,
                row.inbox_is_muted,
                parts,
            )
            if changes := list(found.next(now)):
                await self._store(tx, notification_id, changes, traceparent, now)

    async def _store(
        self, tx: Transaction, notification_id: str, changes: list[Part], traceparent: str, now: datetime
    ) -> None:
        ids, states, reasons = arrays([(part.delivery_id, part.state.value, part.reason.value) for part in changes])
        await tx.run(_CHANGE, ids=ids, states=states, reasons=reasons, now=now)
        for part in changes:
            if part.state is DeliveryState.QUEUED:
                jobs = self._jobs[part.channel]
                await jobs.put(tx, kind="message", key=part.delivery_id, payload=b"", traceparent=traceparent)
            elif part.channel is Channel.INBOX and part.state is DeliveryState.SENT:
                await tx.run(_SHOW, id=notification_id)


def _part(row: Row) -> Part:
    """One that waits in a digest is under way."""
    state = DeliveryState(row.state)
    if state is DeliveryState.SCHEDULED and row.digest_id:
        state = DeliveryState.QUEUED
    return Part(row.delivery_id, Channel(row.channel), state, Reason(row.reason))
