"""The RPC of EventService that receives events from the outboxes of other services."""

from weft.notification.v1 import event_service_pb2 as pb

from chassis.rpc.call import Call
from services.notification.events.repository import EventRepository


class EventHandlers:
    """weft.notification.v1.EventService."""

    def __init__(self, events: EventRepository) -> None:
        self._events = events

    async def PublishEvents(self, request: pb.PublishEventsRequest, _: Call) -> pb.PublishEventsResponse:
        """Each event id is processed once; observers run after the response."""
        return pb.PublishEventsResponse(new_count=await self._events.insert(request.events))
