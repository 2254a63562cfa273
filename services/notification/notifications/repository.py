"""Every query that stores notifications, with the deliveries that follow from them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from chassis import ids, times
from chassis.clock import Clock
from chassis.queues.queue import Queue
from chassis.security import modes
from chassis.storage.database import Database, Query, Transaction, arrays
from services.notification import categories
from services.notification.channels.channel import Channel
from services.notification.event_order import by_time
from services.notification.notifications.notification import NewNotification

# One statement: a notification, its delivery and the delivery's job exist together, once for each event and observer.
# In TEST nothing is sent: a delivery is kept as skipped, and has no job. Who has no device gets no push message.
# any owner: the preferences are the recipient's
# Jobs are due by the database's time, as leases are, in case this process's clock is fast.
_INSERT = Query(
    "WITH given AS (SELECT notification_id, event_id, observer, user_id, type, subject_id, data, in_inbox, create_time, "
    "partner_id, mode, delivery_id, text_id, traceparent, category, CASE WHEN push_id <> '' AND EXISTS ("
    "SELECT FROM devices v WHERE v.user_id = g.user_id) THEN push_id ELSE '' END AS push_id FROM unnest("
    "%(notification_ids)s::text[], %(event_ids)s::text[], %(observers)s::text[], %(user_ids)s::text[], "
    "%(types)s::text[], %(subject_ids)s::text[], %(data)s::jsonb[], %(in_inbox)s::boolean[], "
    "%(create_times)s::timestamptz[], %(partner_ids)s::text[], %(modes)s::text[], %(delivery_ids)s::text[], "
    "%(text_ids)s::text[], %(traceparents)s::text[], %(categories)s::text[], %(push_ids)s::text[]"
    ") AS g(notification_id, event_id, observer, user_id, type, subject_id, data, in_inbox, create_time, partner_id, mode, "
    "delivery_id, text_id, traceparent, category, push_id)), inserted AS ("
    "INSERT INTO notifications "
    "(notification_id, event_id, observer, user_id, type, subject_id, data, in_inbox, create_time, partner_id, mode, "
    "category) SELECT notification_id, event_id, observer, user_id, type, subject_id, data, in_inbox AND NOT EXISTS ("
    "SELECT FROM preferences p WHERE p.user_id = given.user_id AND given.category || '/INBOX' = ANY(p.muted)), "
    "create_time, partner_id, mode, category "
    "FROM given WHERE NOT EXISTS (SELECT FROM erased_persons e WHERE e.user_id = given.user_id) "
    "ORDER BY event_id, observer ON CONFLICT (event_id, observer) DO NOTHING RETURNING notification_id"
    "), delivered AS ("
    "INSERT INTO deliveries (delivery_id, notification_id, channel, state, reason, create_time, update_time) "
    "SELECT d.delivery_id, d.notification_id, d.channel, CASE d.mode WHEN 'TEST' THEN 'SKIPPED' ELSE 'QUEUED' END, "
    "CASE d.mode WHEN 'TEST' THEN 'TEST_MODE' ELSE '' END, %(now)s, %(now)s FROM ("
    "SELECT delivery_id, notification_id, 'EMAIL' AS channel, mode FROM given UNION ALL "
    "SELECT text_id, notification_id, 'SMS', mode FROM given UNION ALL "
    "SELECT push_id, notification_id, 'PUSH', mode FROM given) d JOIN inserted USING (notification_id) "
    "WHERE d.delivery_id <> ''"
    "), texted AS (INSERT INTO sms_jobs (kind, key, payload, traceparent, due, created_at) "
    "SELECT g.type, g.text_id, '', g.traceparent, LEAST(%(now)s, now()), %(now)s "
    "FROM given g JOIN inserted USING (notification_id) WHERE g.text_id <> '' AND g.mode <> 'TEST' RETURNING 1"
    "), pushed AS (INSERT INTO push_jobs (kind, key, payload, traceparent, due, created_at) "
    "SELECT g.type, g.push_id, '', g.traceparent, LEAST(%(now)s, now()), %(now)s "
    "FROM given g JOIN inserted USING (notification_id) WHERE g.push_id <> '' AND g.mode <> 'TEST' RETURNING 1"
    "), mailed AS (INSERT INTO email_jobs (kind, key, payload, traceparent, due, created_at) "
    "SELECT g.type, g.delivery_id, '', g.traceparent, LEAST(%(now)s, now()), %(now)s "
    "FROM given g JOIN inserted USING (notification_id) WHERE g.delivery_id <> '' AND g.mode <> 'TEST' RETURNING 1"
    ") SELECT EXISTS (SELECT FROM mailed) AS email, EXISTS (SELECT FROM texted) AS sms, EXISTS (SELECT FROM pushed) AS push",
    name="insert notifications",
)

_PARAMETERS = (
    "notification_ids",
    "event_ids",
    "observers",
    "user_ids",
    "types",
    "subject_ids",
    "data",
    "in_inbox",
    "create_times",
    "partner_ids",
    "modes",
    "delivery_ids",
    "text_ids",
    "traceparents",
    "categories",
    "push_ids",
)
"""The arrays of `_INSERT`, in the order of `_to_row`."""


REJECTED = (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError)
"""Raised for a notification that cannot be stored. Any other error is the database's, and the whole batch is retried."""


class NotificationRepository:
    def __init__(self, database: Database, clock: Clock, jobs: Mapping[Channel, Queue]) -> None:
        """`jobs` are the queues of the channels that deliver."""
        self._database = database
        self._clock = clock
        self._jobs = jobs

    async def insert(self, notifications: Sequence[NewNotification], tx: Transaction | None = None) -> None:
        """Store notifications with their deliveries; those whose event and observer have one already are ignored.

        In a transaction, whose commit notifies the workers, or in one of their own. Raises `REJECTED`.
        """
        now = self._clock.now()
        ordered = sorted(notifications, key=lambda new: by_time(new.event))
        # Dated by the event, so that the inbox shows what happened in its order even where events arrived in another;
        # sorted ids keep the order within a millisecond.
        create_times = [min(times.clamped(new.event.occur_time), now) for new in ordered]
        notification_ids = sorted(ids.new("ntf", create_time) for create_time in create_times)
        rows = [_to_row(*values, now) for values in zip(ordered, notification_ids, create_times, strict=True)]
        parameters = dict(zip(_PARAMETERS, arrays(rows), strict=True))
        queued = await (tx or self._database).one(_INSERT, **parameters, now=now)
        for channel, jobs in self._jobs.items():
            if getattr(queued, channel.value.lower()):
                tx.after_commit(jobs.notify) if tx else jobs.notify()


def _to_row(new: NewNotification, notification_id: str, create_time: datetime, now: datetime) -> tuple[Any, ...]:
    notification = new.notification
    return (
        notification_id,
        new.event.event_id,
        new.observer,
        notification.user_id,
        notification.type,
        notification.subject_id,
        json.dumps(dict(notification.data)),
        Channel.INBOX in notification.channels,
        create_time,
        new.event.partner_id,
        modes.of_message(new.event.mode),
        ids.new("dlv", now) if Channel.EMAIL in notification.channels else "",
        ids.new("dlv", now) if Channel.SMS in notification.channels else "",
        new.traceparent,
        categories.of_type(notification.type).value,
        ids.new("dlv", now) if Channel.PUSH in notification.channels else "",
    )
