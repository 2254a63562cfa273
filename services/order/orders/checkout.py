"""From what is wanted to an order that is placed: price it, write it, and begin again if the catalogue has moved."""

from collections.abc import Mapping
from datetime import timedelta

import psycopg
from google.protobuf.any_pb2 import Any
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2, order_service_pb2
from weft.order.v1.money_pb2 import Money
from weft.order.v1.order_pb2 import ORDER_STATE_PENDING, PAYMENT_STATE_PENDING, Order

from chassis import ids
from chassis.clock import Clock
from chassis.errors import Overloaded, WeftError
from chassis.rpc.call import Call
from chassis.storage.database import violated
from services.order import messages
from services.order.domain.order import ExternalReferenceTaken
from services.order.domain.pricing import Price, price, refuse_shortage
from services.order.domain.product import Product
from services.order.orders import insert
from services.order.orders.insert import Placed, Placement
from services.order.products.catalogue import Catalogue

TRIES = 5
"""Writes that meet a change made a moment ago before the caller is asked to come back."""


class Checkout:
    """Prices and places orders."""

    def __init__(self, catalogue: Catalogue, placement: Placement, clock: Clock) -> None:
        self._catalogue = catalogue
        self._placement = placement
        self._clock = clock

    async def quote(self, wanted: Mapping[str, int]) -> tuple[Price, bool]:
        """What it would cost now, and whether the stock would do."""
        catalogue = await self._catalogue.refresh(list(wanted))
        priced = price(wanted, catalogue)
        return priced, all(catalogue[product_id].stock >= pieces for product_id, pieces in wanted.items())

    async def place(
        self, call: Call, request: order_service_pb2.CreateOrderRequest, customer_id: str, wanted: Mapping[str, int]
    ) -> bytes:
        """Place an order; the reply, serialised, as it is stored under the call's key.

        Raises the errors of `pricing`, `ExternalReferenceTaken`, and `UniqueViolation` where the key was used already.
        """
        catalogue, priced = await self._price(wanted)
        for _ in range(TRIES):
            order = self._draft(call, request, customer_id, priced, catalogue)
            try:
                await self._placement.place(order)
            except psycopg.errors.UniqueViolation as error:
                if violated(error) == insert.REFERENCE:
                    raise ExternalReferenceTaken(external_reference=request.external_reference) from error
                raise
            except psycopg.errors.DeadlockDetected:
                continue  # two replicas with the same keys in another order; the other one has gone through
            except psycopg.errors.CheckViolation as error:
                if violated(error) != insert.STOCK:
                    raise
                catalogue = await self._catalogue.refresh(list(wanted))
                priced = price(wanted, catalogue)
                refuse_shortage(wanted, catalogue)
            else:
                return order.reply
        raise Overloaded(retry_after=timedelta(seconds=1))

    async def _price(self, wanted: Mapping[str, int]) -> tuple[Mapping[str, Product], Price]:
        catalogue = await self._catalogue.get(list(wanted))
        try:
            return catalogue, price(wanted, catalogue)
        except WeftError:  # for what was true a moment ago, nobody is refused
            catalogue = await self._catalogue.refresh(list(wanted))
            return catalogue, price(wanted, catalogue)

    def _draft(
        self,
        call: Call,
        request: order_service_pb2.CreateOrderRequest,
        customer_id: str,
        priced: Price,
        catalogue: Mapping[str, Product],
    ) -> Placed:
        now = self._clock.now()
        caller, time = call.caller, messages.timestamp(now)
        partner_id = caller.partner_id if caller.is_partner else ""
        order_id = ids.new("ord", now)
        payment_id = _sibling(order_id, "pay")
        total = Money(amount_minor=priced.total_minor, currency=priced.currency)
        traceparent = call.outgoing_traceparent
        order = Order(
            order_id=order_id,
            customer_id=customer_id,
            partner_id=partner_id,
            lines=messages.lines(priced.lines, priced.currency),
            total=total,
            state=ORDER_STATE_PENDING,
            payment_state=PAYMENT_STATE_PENDING,
            payment_id=payment_id,
            external_reference=request.external_reference,
            note=request.note,
            create_time=time,
            update_time=time,
            etag=messages.etag(1),
        )
        reply = order.SerializeToString()
        record = call.record(reply)
        assert record is not None, "CreateOrder takes no call without a key"
        return Placed(
            record=record,
            reply=reply,
            order_id=order_id,
            customer_id=customer_id,
            partner_id=partner_id,
            currency=priced.currency,
            total_minor=priced.total_minor,
            payment_id=payment_id,
            method=request.payment_method,
            external_reference=request.external_reference,
            note=request.note,
            actor=caller.actor,
            event=_event(order, caller.actor, traceparent).SerializeToString(),
            traceparent=traceparent,
            now=now,
            lines=priced.lines,
            versions=[catalogue[line.product_id].version for line in priced.lines],
        )


_ORDER_PLACED = f"type.googleapis.com/{events_pb2.OrderPlaced.DESCRIPTOR.full_name}"


def _sibling(order_id: str, prefix: str) -> str:
    """What is born together bears one number: an order, its payment and its first event."""
    return f"{prefix}{order_id.removeprefix('ord')}"


def _event(order: Order, actor: str, traceparent: str) -> Event:
    placed = events_pb2.OrderPlaced(order_id=order.order_id, total=order.total)
    return Event(
        event_id=_sibling(order.order_id, "evt"),
        type="order.placed",
        aggregate_id=order.order_id,
        sequence=1,
        occur_time=order.create_time,
        actor=actor,
        user_id=order.customer_id,
        partner_id=order.partner_id,
        traceparent=traceparent,
        payload=Any(type_url=_ORDER_PLACED, value=placed.SerializeToString()),
    )
