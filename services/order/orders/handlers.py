"""The RPCs of orders."""

from collections.abc import AsyncIterator
from typing import Any

from weft.order.v1 import order_pb2, order_service_pb2
from weft.order.v1.money_pb2 import Money

from chassis import times
from chassis.queues.outbox import Outbox
from chassis.queues.queue import Queue
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from services.order import messages
from services.order.domain import pricing
from services.order.domain.order import OrderNotFound
from services.order.feed.stream import Watching
from services.order.orders.checkout import Checkout
from services.order.orders.customers import Customers
from services.order.orders.repository import OrderRepository, ownership

_STATES = {number: name for name, number in messages.STATES.items()}


class OrderHandlers:
    """weft.order.v1.OrderService."""

    def __init__(
        self,
        orders: OrderRepository,
        checkout: Checkout,
        customers: Customers,
        watching: Watching,
        pages: Pages,
        outbox: Outbox,
        payment_work: Queue,
    ) -> None:
        self._orders = orders
        self._checkout = checkout
        self._customers = customers
        self._watching = watching
        self._pages = pages
        self._outbox = outbox
        self._payment_work = payment_work

    async def QuoteOrder(
        self, request: order_service_pb2.QuoteOrderRequest, _: Call
    ) -> order_service_pb2.QuoteOrderResponse:
        """Prices as of now."""
        priced, available = await self._checkout.quote(pricing.merge(request.lines))
        return order_service_pb2.QuoteOrderResponse(
            lines=messages.lines(priced.lines, priced.currency),
            total=Money(amount_minor=priced.total_minor, currency=priced.currency),
            available=available,
        )

    async def CreateOrder(self, request: order_service_pb2.CreateOrderRequest, call: Call) -> bytes:
        """The reply is serialised once, for the caller and for the key's record."""
        wanted = pricing.merge(request.lines)
        customer_id = await self._customers.buyer(call.caller, request.customer_id)
        return await self._checkout.place(call, request, customer_id, wanted)

    async def GetOrder(self, request: order_service_pb2.GetOrderRequest, call: Call) -> order_pb2.Order:
        """The caller's own."""
        row = await self._orders.get(request.order_id, call.caller)
        if row is None:
            raise OrderNotFound(order_id=request.order_id)
        return messages.order(row)

    async def ListOrders(
        self, request: order_service_pb2.ListOrdersRequest, call: Call
    ) -> order_service_pb2.ListOrdersResponse:
        """The caller's own, newest first."""
        filters = _filters(request, call)
        page = self._pages.read(request, query={"list": "orders", "owner": ownership(call.caller), **filters})
        if page.after:
            filters["after"] = page.after
        rows = await self._orders.page(call.caller, page.limit, filters)
        orders, token = self._pages.split(page, rows, messages.order, key="order_id")
        return order_service_pb2.ListOrdersResponse(orders=orders, next_page_token=token)

    async def CancelOrder(self, request: order_service_pb2.CancelOrderRequest, call: Call) -> order_pb2.Order:
        """What the provider holds of the money is given back afterwards, by the payment queue."""
        async with self._orders.database.transaction() as tx:
            order = await self._orders.lock(tx, request.order_id, call.caller)
            if order is None:
                raise OrderNotFound(order_id=request.order_id)
            order.cancel(request.reason or "cancelled on request", call.caller.actor)
            await self._orders.save(order, tx)
            reply = messages.order(await self._orders.get_saved(tx, request.order_id))
            await call.remember(tx, reply)
        self._outbox.notify()
        self._payment_work.notify()
        return reply

    async def WatchOrders(
        self, request: order_service_pb2.WatchOrdersRequest, call: Call
    ) -> AsyncIterator[order_service_pb2.WatchOrdersResponse]:
        """The caller's own, as they change."""
        async for message in self._watching.stream(request.cursor, ownership(call.caller), call):
            yield message


def _filters(request: order_service_pb2.ListOrdersRequest, call: Call) -> dict[str, Any]:
    """The filters of `OrderRepository.list` that a request sets."""
    filters: dict[str, Any] = {}
    if states := sorted({_STATES[state] for state in request.states if state}):
        filters["states"] = states
    if request.customer_id:
        filters["customer_id"] = call.caller.user_id if request.customer_id == "me" else request.customer_id
    if request.external_reference:
        filters["external_reference"] = request.external_reference
    if request.HasField("create_time_from"):
        filters["created_from"] = times.clamped(request.create_time_from)
    if request.HasField("create_time_to"):
        filters["created_to"] = times.clamped(request.create_time_to)
    return filters
