"""The RPCs of orders."""

from collections.abc import AsyncIterator
from typing import Any

from weft.order.v1 import order_pb2
from weft.order.v1 import order_service_pb2 as pb
from weft.order.v1.export_pb2 import ExportOrdersRequest
from weft.order.v1.money_pb2 import Money
from weft.order.v1.shipping_address_pb2 import ShippingAddress
from weft.order.v1.update_pb2 import UpdateOrderRequest

from chassis import times
from chassis.rpc.call import Call
from chassis.rpc.idempotency import Record
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.storage.database import Database
from services.order import messages
from services.order.domain import order_number, pricing
from services.order.domain.changes import Details
from services.order.domain.new_order import NewOrder, OrderDraft
from services.order.domain.refusals import OrderNotFound, ShippingCountryFixed
from services.order.feed.stream import OrderStreams
from services.order.orders.checkout import Checkout
from services.order.orders.customers import Customers
from services.order.orders.repository import OrderRepository
from services.order.ownership import owner_of

_STATES = {number: name for name, number in messages.STATES.items()}
_PAYMENT_STATES = {number: name for name, number in messages.PAYMENT_STATES.items()}
_FULFILMENT_STATES = {number: name for name, number in messages.FULFILMENT_STATES.items()}


class OrderHandlers:
    """weft.order.v1.OrderService."""

    def __init__(
        self,
        database: Database,
        orders: OrderRepository,
        checkout: Checkout,
        customers: Customers,
        streams: OrderStreams,
        pages: Pages,
    ) -> None:
        self._database = database
        self._orders = orders
        self._checkout = checkout
        self._customers = customers
        self._streams = streams
        self._pages = pages

    async def QuoteOrder(self, request: pb.QuoteOrderRequest, call: Call) -> pb.QuoteOrderResponse:
        priced, available = await self._checkout.quote(
            pricing.merge(request.lines), request.shipping_address.region_code, call.caller.mode
        )
        return pb.QuoteOrderResponse(
            lines=messages.lines_to_messages(priced.lines, priced.currency),
            total=Money(amount_minor=priced.total_minor, currency=priced.currency),
            available=available,
            charges=messages.charges_to_messages(priced.charges, priced.currency),
            subtotal=Money(amount_minor=priced.subtotal_minor, currency=priced.currency),
        )

    async def CreateOrder(self, request: pb.CreateOrderRequest, call: Call) -> order_pb2.Order:
        reply = order_pb2.Order()

        def record(order: NewOrder) -> Record:
            nonlocal reply
            reply = messages.new_to_message(order)
            made = call.record(reply)
            assert made is not None, "CreateOrder requires an idempotency key"
            return made

        caller = call.caller
        quantities = pricing.merge(request.lines)
        draft = OrderDraft(
            customer_id=await self._customers.resolve(caller, request.customer_id),
            partner_id=caller.partner_id if caller.is_partner else "",
            quantities=quantities,
            payment_method=request.payment_method,
            external_reference=request.external_reference,
            note=request.note,
            metadata={**request.metadata},
            actor=caller.actor,
            mode=caller.mode,
            capture_when=messages.CAPTURES[request.capture],
            expected_total=_expected_total(request),
            address=request.shipping_address.SerializeToString(),
            region=request.shipping_address.region_code,
        )
        await self._checkout.place(draft, call.outgoing_traceparent, record)
        return reply

    async def GetOrder(self, request: pb.GetOrderRequest, call: Call) -> order_pb2.Order:
        row = await self._orders.get(owner_of(call.caller), request.order_id)
        if row is None:
            raise OrderNotFound(order_id=request.order_id)
        return messages.to_message(row)

    async def ListOrders(self, request: pb.ListOrdersRequest, call: Call) -> pb.ListOrdersResponse:
        owner, filters = owner_of(call.caller), filters_of(request, call)
        page = self._pages.read(request, {"list": "orders", "owner": owner, **filters})
        rows = await self._orders.list(owner, page.limit, page.after, filters)
        orders, token = self._pages.split(page, rows, messages.to_message, key="order_id")
        total = len(orders) if page.is_first and not token else None
        return pb.ListOrdersResponse(orders=orders, next_page_token=token, total_size=total)

    async def UpdateOrder(self, request: UpdateOrderRequest, call: Call) -> order_pb2.Order:
        requested, details = request.order, _changes(request)
        async with self._database.transaction() as tx:
            order = await self._orders.lock(tx, owner_of(call.caller), requested.order_id)
            if order is None:
                raise OrderNotFound(order_id=requested.order_id)
            if details.shipping_address is not None:
                placed = messages.to_message(await self._orders.get_updated(tx, requested.order_id))
                details = details._replace(shipping_address=_new_address(requested.shipping_address, placed))
            if order.update(details, requested.etag, call.caller.actor):
                await self._orders.update(order, tx)
            return messages.to_message(await self._orders.get_updated(tx, requested.order_id))

    async def CancelOrder(self, request: pb.CancelOrderRequest, call: Call) -> order_pb2.Order:
        """The payment is reversed afterwards, by the payment worker."""
        async with self._database.transaction() as tx:
            order = await self._orders.lock(tx, owner_of(call.caller), request.order_id)
            if order is None:
                raise OrderNotFound(order_id=request.order_id)
            order.cancel(request.reason or "cancelled on request", call.caller.actor)
            await self._orders.update(order, tx)
            reply = messages.to_message(await self._orders.get_updated(tx, request.order_id))
            await call.remember(tx, reply)
        return reply

    async def WatchOrders(self, request: pb.WatchOrdersRequest, call: Call) -> AsyncIterator[pb.WatchOrdersResponse]:
        async for message in self._streams.open(request.cursor, owner_of(call.caller), call):
            yield message


def _changes(request: UpdateOrderRequest) -> Details:
    """What an update changes."""
    fields, order = masks.fields(request, "order"), request.order
    return Details(
        note=order.note if "note" in fields else None,
        metadata={**order.metadata} if "metadata" in fields else None,
        shipping_address=order.shipping_address.SerializeToString() if "shipping_address" in fields else None,
    )


def _new_address(requested: ShippingAddress, placed: order_pb2.Order) -> bytes | None:
    """None where there was and is none. Raises `ShippingCountryFixed`."""
    if requested.region_code != placed.shipping_address.region_code:
        raise ShippingCountryFixed(order_id=placed.order_id)
    return requested.SerializeToString() or None


def _expected_total(request: pb.CreateOrderRequest) -> tuple[int, str] | None:
    expected = request.expected_total
    return (expected.amount_minor, expected.currency) if request.HasField("expected_total") else None


def filters_of(request: pb.ListOrdersRequest | ExportOrdersRequest, call: Call) -> dict[str, Any]:
    """The filters of `OrderRepository.list` that a request sets."""
    filters: dict[str, Any] = {}
    if states := sorted({_STATES[state] for state in request.states if state}):
        filters["states"] = states
    if payment_states := sorted({_PAYMENT_STATES[state] for state in request.payment_states if state}):
        filters["payment_states"] = payment_states
    if fulfilment_states := sorted({_FULFILMENT_STATES[state] for state in request.fulfilment_states if state}):
        filters["fulfilment_states"] = fulfilment_states
    if request.customer_id:
        filters["customer_id"] = call.caller.user_id if request.customer_id == "me" else request.customer_id
    if request.external_reference:
        filters["external_reference"] = request.external_reference
    if request.order_number:
        filters["order_number"] = order_number.read(request.order_number, "order_number")
    if request.HasField("create_time_from"):
        filters["created_from"] = times.clamped(request.create_time_from)
    if request.HasField("create_time_to"):
        filters["created_to"] = times.clamped(request.create_time_to)
    return filters
