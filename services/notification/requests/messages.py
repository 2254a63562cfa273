"""Notifications and deliveries as messages of the contract."""

from collections.abc import Iterable

from weft.notification.v1 import category_pb2, notification_pb2

from chassis.security import modes
from chassis.storage.database import Row
from chassis.times import timestamp
from services.notification import categories
from services.notification.categories import Category
from services.notification.channels.channel import Channel
from services.notification.content import Content
from services.notification.deliveries.domain import DeliveryState, rolled_up
from services.notification.sealed_content import Contents

CATEGORIES = {category_pb2.Category.Value(f"CATEGORY_{each.value}"): each for each in Category}
CHANNELS = {category_pb2.Channel.Value(f"CHANNEL_{each.value}"): each for each in Channel}
STATES = {notification_pb2.NotificationState.Value(f"NOTIFICATION_STATE_{each.value}"): each for each in DeliveryState}


def channel(name: str) -> "category_pb2.Channel.ValueType":
    """The enum value of a channel's stored name."""
    return category_pb2.Channel.Value(f"CHANNEL_{name}")


def state(name: str) -> "notification_pb2.NotificationState.ValueType":
    """The enum value of a state's stored name."""
    return notification_pb2.NotificationState.Value(f"NOTIFICATION_STATE_{name}")


def to_message(row: Row, contents: Contents) -> notification_pb2.Notification:
    """The message of a notification, from a row of `RequestRepository`."""
    parts = [part.split(" ") for part in row.parts]
    content = contents.open(row.content_sealed) if row.content_sealed else Content()
    names = row.channels or [*(["INBOX"] if row.in_inbox else []), *(name for _, name in parts)]
    category = categories.read(row.category, row.type)
    message = notification_pb2.Notification(
        notification_id=row.notification_id,
        type=row.type,
        category=category_pb2.Category.Value(f"CATEGORY_{category.value}"),
        state=state(rolled_up([DeliveryState(state) for state, _ in parts]).value),
        channels=[channel(name) for name in names],
        every_channel=row.every_channel,
        dedupe_key=content.dedupe_key,
        duplicate_of=row.duplicate_of,
        metadata=content.metadata,
        partner_id=row.partner_id,
        mode=modes.to_message(row.mode),
        template_id=row.template_id,
        template_version=row.template_version,
        send_at=timestamp(row.send_at),
        expire_at=timestamp(row.expire_at),
        create_time=timestamp(row.accept_time or row.create_time),
    )
    to = {"user_id": row.user_id, "email": content.email, "phone": content.phone}
    for name, value in to.items():
        if value and not message.recipient.WhichOneof("to"):
            setattr(message.recipient, name, value)
    return message


def delivery_to_message(row: Row, attempts: Iterable[Row], events: Iterable[Row]) -> notification_pb2.Delivery:
    """The message of a delivery, its attempts, and what its provider said afterwards."""
    message = notification_pb2.Delivery(
        delivery_id=row.delivery_id,
        notification_id=row.notification_id,
        channel=channel(row.channel),
        state=state(row.state),
        reason=row.reason,
        digest_id=row.digest_id,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
    )
    for attempt in attempts:
        message.attempts.add(
            number=attempt.number,
            provider=attempt.provider,
            response_status=attempt.code,
            latency_ms=attempt.latency_ms,
            response=attempt.response,
            create_time=timestamp(attempt.create_time),
        )
    for event in events:
        message.events.add(
            provider=event.provider,
            type=notification_pb2.DeliveryEventType.Value(f"DELIVERY_EVENT_TYPE_{event.kind}"),
            response_status=event.code,
            create_time=timestamp(event.created_at),
        )
    return message
