"""The RPC of the timeline."""

from weft.order.v1 import order_event_pb2 as pb

from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.storage.database import Row
from chassis.times import timestamp
from services.order.domain.refusals import OrderNotFound
from services.order.messages import FULFILMENT_STATES, PAYMENT_STATES, STATES
from services.order.ownership import owner_of
from services.order.timeline.repository import TimelineRepository


class TimelineHandlers:
    """The part of weft.order.v1.OrderService that tells what happened."""

    def __init__(self, timeline: TimelineRepository, pages: Pages) -> None:
        self._timeline = timeline
        self._pages = pages

    async def ListOrderEvents(self, request: pb.ListOrderEventsRequest, call: Call) -> pb.ListOrderEventsResponse:
        owner = owner_of(call.caller)
        query = {"list": "order events", "owner": owner, "order": request.order_id}
        page = self._pages.read(request, query, start="0")
        rows = await self._timeline.list(owner, request.order_id, page.limit, int(page.after))
        if not rows and page.is_first:
            raise OrderNotFound(order_id=request.order_id)
        events, token = self._pages.split(page, rows, to_message, key="version")
        return pb.ListOrderEventsResponse(events=events, next_page_token=token)


def to_message(row: Row) -> pb.OrderEvent:
    """The change and the states after it, from a row of `TimelineRepository`."""
    return pb.OrderEvent(
        version=row.version,
        type=row.change,
        reason=row.cause,
        actor=row.actor,
        occur_time=timestamp(row.changed_at),
        state=STATES[row.state],
        payment_state=PAYMENT_STATES[row.payment_state],
        fulfilment_state=FULFILMENT_STATES[row.fulfilment_state],
    )
