"""EventService: where the outboxes of the mesh are emptied into."""

from weft.notification.v1 import event_service_pb2 as pb

from chassis.rpc.call import Call
from services.notification.events.repository import EventRepository


class EventHandlers:
    """Takes events."""

    def __init__(self, events: EventRepository) -> None:
        self._events = events

    async def PublishEvents(self, request: pb.PublishEventsRequest, _: Call) -> pb.PublishEventsResponse:
        """Once by event id, however often a batch comes; what follows from an event happens after the reply."""
        return pb.PublishEventsResponse(new_count=await self._events.take(request.events))
