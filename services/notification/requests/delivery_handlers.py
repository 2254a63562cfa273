"""The RPCs of NotificationService on deliveries, their attempts, and what TEST has captured."""

from datetime import datetime, timedelta
from typing import Any

from weft.notification.v1 import notification_pb2
from weft.notification.v1 import notification_service_pb2 as pb

from chassis import times
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import NEWEST, OLDEST, Pages
from chassis.storage.database import Database
from services.notification.channels.channel import Channel
from services.notification.deliveries.domain import (
    DeliveryNotFound,
    DeliveryNotRetriable,
    DeliveryState,
    check_retriable,
)
from services.notification.ownership import owner_of
from services.notification.requests import messages
from services.notification.requests.captured import Captured
from services.notification.requests.delivery_repository import MAX_RETRIED, RequestedDeliveryRepository
from services.notification.requests.domain import NotificationNotFound
from services.notification.requests.repository import RequestRepository

_DEFAULT_SINCE = timedelta(days=1)
MAX_CAPTURED = 100
"""On a page: each is rendered when it is listed."""


class DeliveryHandlers:
    """The part of weft.notification.v1.NotificationService that is about deliveries."""

    def __init__(
        self,
        database: Database,
        records: RequestRepository,
        deliveries: RequestedDeliveryRepository,
        captured: Captured,
        pages: Pages,
        clock: Clock,
    ) -> None:
        self._database = database
        self._records = records
        self._deliveries = deliveries
        self._captured = captured
        self._pages = pages
        self._clock = clock

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, call: Call) -> pb.ListDeliveriesResponse:
        """Of one notification. Raises `NotificationNotFound`."""
        owner, of = owner_of(call.caller), request.notification_id
        page = self._pages.read(request, {"list": "deliveries", "of": of, "owner": owner}, start=OLDEST)
        rows = await self._deliveries.list(owner, of, page.limit, page.after)
        if not rows and await self._records.get(owner, of) is None:
            raise NotificationNotFound(notification_id=of)
        delivery_ids = [row.delivery_id for row in rows]
        attempts, events = (
            await self._deliveries.list_attempts(delivery_ids),
            await self._deliveries.list_events(delivery_ids),
        )
        deliveries, token = self._pages.split(
            page,
            rows,
            lambda row: messages.delivery_to_message(
                row, attempts.get(row.delivery_id, ()), events.get(row.delivery_id, ())
            ),
            key="delivery_id",
        )
        return pb.ListDeliveriesResponse(deliveries=deliveries, next_page_token=token)

    async def RetryDelivery(self, request: pb.RetryDeliveryRequest, call: Call) -> notification_pb2.Delivery:
        """Raises `NotificationNotFound`, `DeliveryNotFound` and `DeliveryNotRetriable`."""
        owner, of, now = owner_of(call.caller), request.notification_id, self._clock.now()
        async with self._database.transaction() as tx:
            row = await self._deliveries.lock(tx, owner, of, request.delivery_id)
            if row is None:
                if await self._records.get(owner, of) is None:
                    raise NotificationNotFound(notification_id=of)
                raise DeliveryNotFound(delivery_id=request.delivery_id)
            if row.channel == Channel.INBOX.value:
                raise DeliveryNotRetriable(state=row.state)
            check_retriable(DeliveryState(row.state), row.reason)
            await self._deliveries.retry(tx, [row], call.outgoing_traceparent, now)
            row = await self._deliveries.lock(tx, owner, of, request.delivery_id)
            assert row is not None, "the transaction has its lock"
            attempts = await self._deliveries.list_attempts([request.delivery_id])
            events = await self._deliveries.list_events([request.delivery_id])
            reply = messages.delivery_to_message(
                row, attempts.get(request.delivery_id, ()), events.get(request.delivery_id, ())
            )
            await call.remember(tx, reply)
        return reply

    async def RetryDeliveries(self, request: pb.RetryDeliveriesRequest, call: Call) -> pb.RetryDeliveriesResponse:
        """Those that match, up to `MAX_RETRIED` in one call."""
        owner, now = owner_of(call.caller), self._clock.now()
        filters = _filters(request, now)
        async with self._database.transaction() as tx:
            rows = await self._deliveries.list_unsent(tx, owner, filters, retriable=True)
            refused = await self._deliveries.list_unsent(tx, owner, filters, retriable=False)
            await self._deliveries.retry(tx, rows[:MAX_RETRIED], call.outgoing_traceparent, now)
            reply = pb.RetryDeliveriesResponse(
                retried_count=len(rows[:MAX_RETRIED]), refused_count=len(refused), more=len(rows) > MAX_RETRIED
            )
            await call.remember(tx, reply)
        return reply

    async def ListCaptured(self, request: pb.ListCapturedRequest, call: Call) -> pb.ListCapturedResponse:
        """Rendered now: neither addresses nor texts are stored."""
        owner = owner_of(call.caller)
        filters = {"user_id": request.user_id} if request.user_id else {}
        query = {"list": "captured", "owner": owner, **filters}
        page = self._pages.read(request, query, start=f"{NEWEST} {NEWEST}", max_size=MAX_CAPTURED)
        rows = await self._deliveries.list_captured(owner, page.limit, page.after, filters)
        rendered = await self._captured.render(rows[: page.size])
        found, token = self._pages.split(page, rows, lambda row: rendered[row.delivery_id], key="place")
        return pb.ListCapturedResponse(messages=found, next_page_token=token)


def _filters(request: pb.RetryDeliveriesRequest, now: datetime) -> dict[str, Any]:
    """The filters of `DeliveryRepository.list_unsent` that a request sets, and of a time that it leaves open."""
    filters: dict[str, Any] = {"changed_from": now - _DEFAULT_SINCE, "changed_to": times.LATEST}
    if request.HasField("update_time_from"):
        filters["changed_from"] = times.clamped(request.update_time_from)
    if request.HasField("update_time_to"):
        filters["changed_to"] = times.clamped(request.update_time_to)
    if request.channel:
        filters["channel"] = messages.CHANNELS[request.channel].value
    if request.category:
        filters["category"] = messages.CATEGORIES[request.category].value
    if request.reason:
        filters["reason"] = request.reason
    return filters
