"""The RPCs of EventService on the events of partners."""

import json
from typing import Any

from google.protobuf import json_format
from weft.notification.v1 import event_service_pb2 as pb
from weft.notification.v1 import partner_event_pb2

from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.security import modes
from chassis.storage.database import Row
from chassis.times import timestamp
from services.notification.event_log import catalogue
from services.notification.event_log.domain import EventNotFound, LoggedEvent
from services.notification.event_log.repository import START, EventLogRepository
from services.notification.ownership import owner_of


class EventLogHandlers:
    """The part of weft.notification.v1.EventService that partners read."""

    def __init__(self, log: EventLogRepository, pages: Pages) -> None:
        self._log = log
        self._pages = pages

    async def GetEvent(self, request: pb.GetEventRequest, call: Call) -> partner_event_pb2.PartnerEvent:
        event = await self._log.get(owner_of(call.caller), request.event_id)
        if event is None:
            raise EventNotFound(event_id=request.event_id)
        return to_message(event)

    async def ListEvents(self, request: pb.ListEventsRequest, call: Call) -> pb.ListEventsResponse:
        """Oldest first, after an event or from the first."""
        owner, filters = owner_of(call.caller), _filters(request)
        query = {"list": "events", "owner": owner, "after": request.after_event_id, "type": request.type}
        query |= {"subject_id": request.subject_id}
        page = self._pages.read(request, query, start=START)
        after = page.after
        if request.after_event_id and page.is_first:
            position = await self._log.get_position(owner, request.after_event_id)
            if position is None:
                raise EventNotFound(event_id=request.after_event_id)
            after = position
        rows = await self._log.list(owner, page.limit, after, filters)
        events, token = self._pages.split(page, rows, to_message, key="position")
        return pb.ListEventsResponse(events=events, next_page_token=token)


def _filters(request: pb.ListEventsRequest) -> dict[str, Any]:
    """The filters of `EventLogRepository.list` that a request sets. Raises `RequestInvalid` for a type that no event has."""
    filters: dict[str, Any] = {}
    if request.type:
        types = catalogue.matching(request.type)
        filters |= {"type": request.type} if types == [request.type] else {"types": types}
        if not types:
            raise RequestInvalid(violations=[("type", f"must be a family or one of {', '.join(catalogue.DATA)}")])
    if request.subject_id:
        filters["subject_id"] = request.subject_id
    return filters


def to_message(event: LoggedEvent | Row) -> partner_event_pb2.PartnerEvent:
    message = partner_event_pb2.PartnerEvent(
        event_id=event.event_id,
        type=event.type,
        mode=modes.to_message(event.mode),
        subject_id=event.subject_id,
        sequence=event.sequence,
        user_id=event.user_id,
        timestamp=timestamp(event.occur_time),
    )
    json_format.ParseDict(json.loads(event.data), message.data)
    return message
