"""The RPCs of WebhookService on endpoints."""

from datetime import datetime
from typing import Any

from google.protobuf.empty_pb2 import Empty
from weft.notification.v1 import webhook_endpoint_pb2
from weft.notification.v1 import webhook_service_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.security import modes
from chassis.storage.database import Database, Transaction
from chassis.times import timestamp
from services.notification.channels.webhook.targets import TargetRefused, Targets
from services.notification.endpoints.domain import (
    BY_PARTNER,
    FULL,
    MAX_ENDPOINTS,
    Endpoint,
    Secrets,
    WebhookEndpointLimitReached,
    WebhookEndpointNotFound,
    make_secret,
)
from services.notification.endpoints.repository import EndpointRepository
from services.notification.event_log import catalogue
from services.notification.ownership import owner_of


class EndpointHandlers:
    """The part of weft.notification.v1.WebhookService about endpoints and their secrets."""

    def __init__(
        self, database: Database, endpoints: EndpointRepository, targets: Targets, pages: Pages, clock: Clock
    ) -> None:
        self._database = database
        self._endpoints = endpoints
        self._targets = targets
        self._pages = pages
        self._clock = clock

    async def CreateEndpoint(
        self, request: pb.CreateEndpointRequest, call: Call
    ) -> webhook_endpoint_pb2.WebhookEndpoint:
        """The only response with the first secret."""
        _require_known(request.event_types, "event_types")
        now = self._clock.now()
        endpoint = Endpoint(
            endpoint_id=ids.new("whk", now),
            partner_id=call.caller.partner_id,
            mode=call.caller.mode,
            url=await self._accept(request.url, call.caller.mode, "url"),
            description=request.description,
            event_types=tuple(request.event_types),
            payload=_payload(request.payload) if request.payload else FULL,
            max_requests_per_second=request.max_requests_per_second,
            disable_reason="",
            secrets=Secrets(make_secret()),
            version=1,
            created_at=now,
            updated_at=now,
        )
        async with self._database.transaction() as tx:
            if await self._endpoints.count(tx, endpoint.partner_id, endpoint.mode) >= MAX_ENDPOINTS:
                raise WebhookEndpointLimitReached(limit=str(MAX_ENDPOINTS))
            await self._endpoints.insert(tx, endpoint)
        return to_message(endpoint, now, with_secret=True)

    async def GetEndpoint(self, request: pb.GetEndpointRequest, call: Call) -> webhook_endpoint_pb2.WebhookEndpoint:
        endpoint = await self._endpoints.get(owner_of(call.caller), request.endpoint_id)
        if endpoint is None:
            raise WebhookEndpointNotFound(endpoint_id=request.endpoint_id)
        return to_message(endpoint, self._clock.now())

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, call: Call) -> pb.ListEndpointsResponse:
        owner = owner_of(call.caller)
        page = self._pages.read(request, {"list": "webhook endpoints", "owner": owner})
        found = await self._endpoints.list(owner, page.limit, page.after)
        now = self._clock.now()
        endpoints, token = self._pages.split(page, found, lambda each: to_message(each, now), key="endpoint_id")
        return pb.ListEndpointsResponse(endpoints=endpoints, next_page_token=token)

    async def UpdateEndpoint(
        self, request: pb.UpdateEndpointRequest, call: Call
    ) -> webhook_endpoint_pb2.WebhookEndpoint:
        """The row is locked between the check of the etag and the update. What is enabled again begins without failures."""
        requested = request.endpoint
        changes = await self._changes(request, call.caller.mode)
        enable = changes.pop("enabled", None)
        async with self._database.transaction() as tx:
            endpoint, now = await self._lock(tx, requested.endpoint_id, call), self._clock.now()
            if enable is not None and enable != endpoint.enabled:
                changes["disable_reason"] = "" if enable else BY_PARTNER
            changed = endpoint.update(now, requested.etag, changes)
            if changed is not endpoint:
                await self._endpoints.update(tx, changed)
            if changed.enabled and not endpoint.enabled:
                await self._endpoints.reset_health(tx, endpoint.endpoint_id)
        return to_message(changed, now)

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, call: Call) -> Empty:
        """Cannot be undone."""
        if not await self._endpoints.delete(owner_of(call.caller), request.endpoint_id):
            raise WebhookEndpointNotFound(endpoint_id=request.endpoint_id)
        return Empty()

    async def RotateSecret(self, request: pb.RotateSecretRequest, call: Call) -> webhook_endpoint_pb2.WebhookEndpoint:
        """The only response with the new secret."""
        async with self._database.transaction() as tx:
            endpoint, now = await self._lock(tx, request.endpoint_id, call), self._clock.now()
            changed = endpoint.rotate(now, end_previous=request.end_previous)
            await self._endpoints.update(tx, changed)
        return to_message(changed, now, with_secret=True)

    async def _lock(self, tx: Transaction, endpoint_id: str, call: Call) -> Endpoint:
        endpoint = await self._endpoints.lock(tx, owner_of(call.caller), endpoint_id)
        if endpoint is None:
            raise WebhookEndpointNotFound(endpoint_id=endpoint_id)
        return endpoint

    async def _accept(self, url: str, mode: str, field: str) -> str:
        try:
            return await self._targets.accept(url, mode)
        except TargetRefused as error:
            raise RequestInvalid(violations=[(field, str(error))]) from None

    async def _changes(self, request: pb.UpdateEndpointRequest, mode: str) -> dict[str, Any]:
        """What an update changes, by the names of `Endpoint`; and `enabled`."""
        fields, endpoint = masks.fields(request, "endpoint"), request.endpoint
        plain = fields & {"description", "enabled", "max_requests_per_second"}
        changes: dict[str, Any] = {name: getattr(endpoint, name) for name in plain}
        if "url" in fields:
            changes["url"] = await self._accept(endpoint.url, mode, "endpoint.url")
        if "event_types" in fields:
            _require_known(endpoint.event_types, "endpoint.event_types")
            changes["event_types"] = tuple(endpoint.event_types)
        if "payload" in fields:
            changes["payload"] = _payload(endpoint.payload)
        return changes


def _payload(value: "webhook_endpoint_pb2.WebhookPayload.ValueType") -> str:
    return webhook_endpoint_pb2.WebhookPayload.Name(value).removeprefix("WEBHOOK_PAYLOAD_")


def _require_known(event_types: Any, field: str) -> None:
    """Raises `RequestInvalid` for a filter that would never let anything through."""
    if places := catalogue.unknown(event_types):
        known = ", ".join(catalogue.DATA)
        raise RequestInvalid(
            violations=[(f"{field}[{place}]", f"must be a family or one of {known}") for place in places]
        )


def to_message(endpoint: Endpoint, now: datetime, *, with_secret: bool = False) -> webhook_endpoint_pb2.WebhookEndpoint:
    """The message of an endpoint, with its secret if that was just made."""
    message = webhook_endpoint_pb2.WebhookEndpoint(
        endpoint_id=endpoint.endpoint_id,
        url=endpoint.url,
        description=endpoint.description,
        event_types=endpoint.event_types,
        payload=webhook_endpoint_pb2.WebhookPayload.Value(f"WEBHOOK_PAYLOAD_{endpoint.payload}"),
        enabled=endpoint.enabled,
        max_requests_per_second=endpoint.max_requests_per_second,
        secret=endpoint.secrets.current if with_secret else "",
        mode=modes.to_message(endpoint.mode),
        etag=endpoint.etag,
        previous_secret_expire_time=timestamp(endpoint.secrets.overlap_end(now)),
        failing_since=timestamp(endpoint.failing_since),
        create_time=timestamp(endpoint.created_at),
        update_time=timestamp(endpoint.updated_at),
    )
    if endpoint.disable_reason:
        reason = f"WEBHOOK_DISABLE_REASON_{endpoint.disable_reason}"
        message.disable_reason = webhook_endpoint_pb2.WebhookDisableReason.Value(reason)
    return message
