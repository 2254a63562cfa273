"""The RPCs of WebhookService on deliveries."""

from datetime import UTC, datetime
from typing import Any

from weft.notification.v1 import webhook_delivery_pb2
from weft.notification.v1 import webhook_service_pb2 as pb

from chassis import ids, times
from chassis.clock import Clock
from chassis.queues.announcer import Announcer
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.security import modes
from chassis.storage.database import Database, Transaction
from chassis.times import timestamp
from services.notification.endpoints.domain import THIN, Endpoint, WebhookEndpointNotFound
from services.notification.endpoints.repository import EndpointRepository
from services.notification.event_log.catalogue import TEST_EVENT
from services.notification.event_log.domain import body
from services.notification.event_log.repository import EventLogRepository
from services.notification.ownership import owner_of
from services.notification.webhooks.domain import PENDING, WebhookDeliveryNotFound
from services.notification.webhooks.repository import MAX_RECOVERED, Delivery, WebhookRepository

MAX_PAGE_SIZE = 100
"""Each delivery comes with its attempts and their answers."""


class DeliveryHandlers:
    """The part of weft.notification.v1.WebhookService about what was sent to endpoints, and what came of it."""

    def __init__(
        self,
        database: Database,
        endpoints: EndpointRepository,
        webhooks: WebhookRepository,
        log: EventLogRepository,
        lanes: Announcer,
        pages: Pages,
        clock: Clock,
    ) -> None:
        """`lanes` tells the workers that there is something to send."""
        self._database = database
        self._endpoints = endpoints
        self._webhooks = webhooks
        self._log = log
        self._lanes = lanes
        self._pages = pages
        self._clock = clock

    async def SendTestEvent(self, request: pb.SendTestEventRequest, call: Call) -> webhook_delivery_pb2.WebhookDelivery:
        """An event of its own, in the log as others are."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            endpoint = await self._lock(tx, request.endpoint_id, call)
            event_id = ids.new("evt", now)
            owner = (endpoint.partner_id, endpoint.mode)
            row = (event_id, *owner, TEST_EVENT, endpoint.endpoint_id, 1, "", "{}", now)
            self._log.insert_rows(tx, [row], now)
            delivery_id = self._webhooks.owe_to(tx, endpoint, event_id, call.outgoing_traceparent, now)
            return await self._reply(tx, endpoint, delivery_id, call)

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, call: Call
    ) -> pb.ListWebhookDeliveriesResponse:
        """Newest first."""
        endpoint = await self._endpoints.get(owner_of(call.caller), request.endpoint_id)
        if endpoint is None:
            raise WebhookEndpointNotFound(endpoint_id=request.endpoint_id)
        filters = _filters(request)
        query = {"list": "webhook deliveries", "endpoint": endpoint.endpoint_id, **filters}
        page = self._pages.read(request, query, max_size=MAX_PAGE_SIZE)
        found = await self._webhooks.list(endpoint, page.limit, page.after, filters)
        deliveries, token = self._pages.split(page, found, lambda each: to_message(each, endpoint), key="delivery_id")
        return pb.ListWebhookDeliveriesResponse(deliveries=deliveries, next_page_token=token)

    async def ReplayDelivery(
        self, request: pb.ReplayDeliveryRequest, call: Call
    ) -> webhook_delivery_pb2.WebhookDelivery:
        """The same delivery and the same event, so the same `webhook-id`."""
        async with self._database.transaction() as tx:
            endpoint = await self._lock(tx, request.endpoint_id, call)
            if not await self._webhooks.replay(tx, endpoint, request.delivery_id, self._clock.now()):
                raise WebhookDeliveryNotFound(delivery_id=request.delivery_id)
            return await self._reply(tx, endpoint, request.delivery_id, call)

    async def RecoverDeliveries(self, request: pb.RecoverDeliveriesRequest, call: Call) -> pb.RecoverDeliveriesResponse:
        """What is sent once more has not failed any more, so a repeated call goes on with the rest."""
        async with self._database.transaction() as tx:
            endpoint = await self._lock(tx, request.endpoint_id, call)
            since = times.clamped(request.since_time)
            count = await self._webhooks.recover(tx, endpoint, since, self._clock.now())
            tx.after_commit(self._lanes.announce)
        return pb.RecoverDeliveriesResponse(recovered_count=count, more=count == MAX_RECOVERED)

    async def _lock(self, tx: Transaction, endpoint_id: str, call: Call) -> Endpoint:
        """The endpoint, which stays enabled until the transaction ends."""
        endpoint = await self._endpoints.lock(tx, owner_of(call.caller), endpoint_id)
        if endpoint is None:
            raise WebhookEndpointNotFound(endpoint_id=endpoint_id)
        endpoint.require_enabled()
        return endpoint

    async def _reply(
        self, tx: Transaction, endpoint: Endpoint, delivery_id: str, call: Call
    ) -> webhook_delivery_pb2.WebhookDelivery:
        delivery = await self._webhooks.get(tx, endpoint, delivery_id)
        if delivery is None:  # its event has expired
            raise WebhookDeliveryNotFound(delivery_id=delivery_id)
        reply = to_message(delivery, endpoint)
        await call.remember(tx, reply)
        tx.after_commit(self._lanes.announce)
        return reply


def _filters(request: pb.ListWebhookDeliveriesRequest) -> dict[str, Any]:
    """The filters of `WebhookRepository.list` that a request sets."""
    filters: dict[str, Any] = {}
    if request.state:
        name = webhook_delivery_pb2.WebhookDeliveryState.Name(request.state)
        filters["state"] = name.removeprefix("WEBHOOK_DELIVERY_STATE_")
    if request.event_id:
        filters["event_id"] = request.event_id
    return filters


def to_message(delivery: Delivery, endpoint: Endpoint) -> webhook_delivery_pb2.WebhookDelivery:
    """The message of a delivery, with the body that its endpoint is sent."""
    event = delivery.event
    message = webhook_delivery_pb2.WebhookDelivery(
        delivery_id=delivery.delivery_id,
        endpoint_id=delivery.endpoint_id,
        event_id=event.event_id,
        event_type=event.type,
        state=webhook_delivery_pb2.WebhookDeliveryState.Value(f"WEBHOOK_DELIVERY_STATE_{delivery.state}"),
        request_body=body(event, thin=endpoint.payload == THIN).decode(),
        attempt_count=delivery.attempts,
        mode=modes.to_message(event.mode),
        create_time=timestamp(delivery.create_time),
        update_time=timestamp(delivery.update_time),
        next_attempt_time=timestamp(delivery.due) if delivery.state == PENDING else None,
    )
    for each in delivery.shown:
        attempt = message.attempts.add(
            number=each["number"],
            url=each["url"],
            http_status=each["http_status"],
            latency_ms=each["latency_ms"],
            response_body=each["response_body"],
            create_time=timestamp(datetime.fromtimestamp(each["at"], UTC)),
        )
        if each["failure"]:
            attempt.failure = webhook_delivery_pb2.WebhookFailure.Value(f"WEBHOOK_FAILURE_{each['failure']}")
    return message
