"""All that an order sets going belongs to its own trace, though it was written and worked on with others."""

import asyncio
import secrets

from weft.api.v1.event_pb2 import Event
from weft.order.v1 import order_pb2
from weft.order.v1.order_service_pb2 import CreateOrderRequest

from chassis.app import App
from chassis.storage.database import Query
from chassis.telemetry.spans import RecordedSpan, SpanTracer
from chassis.telemetry.tracing import Tracer
from services.order.__main__ import build
from tests.harness import Harness
from tests.order.shop import LINE, Shop, metadata


class Spans:
    """Takes the spans that end, in place of the sender."""

    def __init__(self) -> None:
        self.ended: list[RecordedSpan] = []

    def add(self, span: RecordedSpan) -> None:
        self.ended.append(span)

    def parents(self, trace: int) -> dict[str, str]:
        """The spans of a trace by name, each with its parent's; what comes from outside has the parent `caller`."""
        mine = [span for span in self.ended if span.get_span_context().trace_id == trace]
        names = {span.get_span_context().span_id: span.name for span in mine}
        return {span.name: names.get(span.parent_id, "caller") for span in mine}


async def test_orders_inserted_in_one_batch_keep_their_own_traces(harness: Harness) -> None:
    spans = Spans()

    async def traced(weft: App) -> None:
        weft.tracer = Tracer(SpanTracer(spans), 1.0)
        await build(weft)

    async with harness.running("order", traced) as running:
        shop = Shop(running, harness.issuer)
        ink = await shop.product()
        request = CreateOrderRequest(lines=[LINE(product_id=ink, quantity=1)], payment_method="pm_sandbox_ok")

        def order(trace: int):
            parent = ("traceparent", f"00-{trace:032x}-{trace:016x}-01")
            return shop.orders.CreateOrder(request, metadata=[*metadata(shop.user, secrets.token_hex(8)), parent])

        placed = await asyncio.gather(*(order(trace) for trace in range(1, 9)))
        for one in placed:
            await shop.reaches(one.order_id, order_pb2.ORDER_STATE_CONFIRMED, order_pb2.PAYMENT_STATE_CAPTURED)
        events = [Event.FromString(row.payload) for row in await shop.database.all(Query("SELECT payload FROM outbox"))]
    for trace, one in enumerate(placed, start=1):
        served = "weft.order.v1.OrderService/CreateOrder"
        parents = spans.parents(trace)
        assert {name: parents[name] for name in (served, "place order", "settle payment")} == {
            served: "caller",
            "place order": served,
            "settle payment": served,
        }
        traces = [event.traceparent.split("-")[1] for event in events if event.aggregate_id == one.order_id]
        assert traces == [f"{trace:032x}"] * 3


async def test_an_order_its_payment_and_its_first_event_have_one_number(quiet_shop: Shop) -> None:
    placed = await quiet_shop.order((await quiet_shop.product(), 1))
    row = await quiet_shop.database.one(Query("SELECT payload FROM outbox"))
    number = placed.order_id.removeprefix("ord")
    assert (placed.payment_id, Event.FromString(row.payload).event_id) == (f"pay{number}", f"evt{number}")
