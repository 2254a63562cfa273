"""The RPC of AuditService."""

from typing import Any

from weft.api.v1 import mode_pb2
from weft.user.v1 import audit_service_pb2 as pb

from chassis import ids
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.times import timestamp
from services.user.audit.domain import AuditEvent
from services.user.audit.repository import AuditRepository


class AuditHandlers:
    """weft.user.v1.AuditService."""

    def __init__(self, events: AuditRepository, pages: Pages) -> None:
        self._events = events
        self._pages = pages

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, _: Call) -> pb.ListAuditEventsResponse:
        """Every event, for operators."""
        filters = _filters(request)
        page = self._pages.read(request, {"list": "audit events", **filters})
        found = await self._events.list(page.limit, page.after, filters)
        events, token = self._pages.split(page, found, to_message, key="audit_event_id")
        return pb.ListAuditEventsResponse(audit_events=events, next_page_token=token)


def _filters(request: pb.ListAuditEventsRequest) -> dict[str, Any]:
    """The filters of `AuditRepository.list` that a request sets."""
    texts = {"actor": request.actor, "subject": request.subject, "action": request.action}
    filters: dict[str, Any] = {name: value for name, value in texts.items() if value}
    if request.HasField("create_time_from"):
        filters["start"] = ids.first("aud", request.create_time_from.ToDatetime())
    if request.HasField("create_time_to"):
        filters["end"] = ids.first("aud", request.create_time_to.ToDatetime())
    return filters


def to_message(event: AuditEvent) -> pb.AuditEvent:
    return pb.AuditEvent(
        audit_event_id=event.audit_event_id,
        actor=event.actor,
        on_behalf_of=event.on_behalf_of,
        client_id=event.client_id,
        session_id=event.session_id,
        mode=mode_pb2.Mode.Value(f"MODE_{event.mode}"),
        subject=event.subject,
        action=event.action,
        fields=event.fields,
        request_id=event.request_id,
        network_address=event.address,
        create_time=timestamp(event.created_at),
    )
