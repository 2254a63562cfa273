"""Calls a running order service as its clients do."""

import asyncio
import secrets
import time
from typing import Any

from weft.api.v1.event_pb2 import Event
from weft.order.v1 import (
    money_pb2,
    order_pb2,
    order_service_pb2,
    order_service_pb2_grpc,
    payment_service_pb2,
    payment_service_pb2_grpc,
    product_pb2,
    product_service_pb2,
    product_service_pb2_grpc,
)

from chassis import ids
from chassis.storage.database import Query
from services.order.orders.repository import OrderRepository
from tests.harness import Issuer, Running

SCOPES = "orders.read orders.write orders.fulfil payments.read payments.write products.write"
LINE = order_pb2.OrderLineInput


class Shop:
    """Stubs, tokens, and the calls that most tests begin with."""

    def __init__(self, running: Running, issuer: Issuer) -> None:
        self.running = running
        self.app = running.app
        self.database = running.app.database
        self.issuer = issuer
        self.orders = order_service_pb2_grpc.OrderServiceStub(running.channel)
        self.products = product_service_pb2_grpc.ProductServiceStub(running.channel)
        self.payments = payment_service_pb2_grpc.PaymentServiceStub(running.channel)
        self.user_id = ids.new("usr")
        self.user = issuer.user(self.user_id)
        self.operator_id = ids.new("usr")
        self.operator = issuer.operator(self.operator_id, SCOPES)

    @property
    def repository(self) -> OrderRepository:
        """Orders in the service's database."""
        app = self.app
        return OrderRepository(app.database, app.clock, app.outbox, app.queue("payment_work"), app.tracer, app.vault)

    def partner(self, partner_id: str) -> str:
        """The token of a partner's client."""
        return self.issuer.partner(partner_id, SCOPES)

    async def product(
        self, price: int = 1000, stock: int = 100, currency: str = "EUR", token: str = "", title: str = "Ink"
    ) -> str:
        """A new platform-owned product, or one of the token's partner; its id."""
        made = await self.products.CreateProduct(
            product_service_pb2.CreateProductRequest(
                title=title, price=money_pb2.Money(amount_minor=price, currency=currency), stock=stock
            ),
            metadata=metadata(token or self.operator),
        )
        return made.product_id

    def order(
        self, *lines: tuple[str, int], token: str = "", key: str = "", method: str = "pm_sandbox_ok", **more: Any
    ) -> Any:
        """Place an order; awaitable."""
        request = order_service_pb2.CreateOrderRequest(
            lines=[LINE(product_id=p, quantity=q) for p, q in lines], payment_method=method, **more
        )
        return self.orders.CreateOrder(request, metadata=metadata(token or self.user, key or secrets.token_hex(8)))

    def get(self, order_id: str, token: str = "") -> Any:
        """An order; awaitable."""
        return self.orders.GetOrder(
            order_service_pb2.GetOrderRequest(order_id=order_id), metadata=metadata(token or self.user)
        )

    def payment(self, payment_id: str, token: str = "") -> Any:
        """A payment; awaitable."""
        request = payment_service_pb2.GetPaymentRequest(payment_id=payment_id)
        return self.payments.GetPayment(request, metadata=metadata(token or self.user))

    def cancel(self, order_id: str, token: str = "", key: str = "", reason: str = "") -> Any:
        """Cancel an order; awaitable."""
        request = order_service_pb2.CancelOrderRequest(order_id=order_id, reason=reason)
        return self.orders.CancelOrder(request, metadata=metadata(token or self.user, key))

    def watch(self, cursor: str = "", token: str = "", timeout: float | None = None) -> Any:
        """A stream of changes."""
        request = order_service_pb2.WatchOrdersRequest(cursor=cursor)
        return self.orders.WatchOrders(request, metadata=metadata(token or self.user), timeout=timeout)

    async def stock(self, product_id: str) -> int:
        """The units in stock."""
        found: product_pb2.Product = await self.products.GetProduct(
            product_service_pb2.GetProductRequest(product_id=product_id)
        )
        return found.stock

    async def reaches(self, order_id: str, state: int, payment_state: int, seconds: float = 15) -> order_pb2.Order:
        """The order, once it and its payment are in these states."""
        end = time.monotonic() + seconds
        while True:
            found: order_pb2.Order = await self.get(order_id, self.operator)
            if (found.state, found.payment_state) == (state, payment_state):
                return found
            assert time.monotonic() < end, f"still {found}"
            await asyncio.sleep(0.02)

    async def emitted(self, order_id: str) -> list[Event]:
        """Every event of an order."""
        rows = await self.database.all(Query("SELECT payload FROM outbox"))
        events = [Event.FromString(row.payload) for row in rows]
        return [event for event in events if event.aggregate_id == order_id]

    async def events(self, order_id: str) -> list[tuple[int, str]]:
        """The sequence and the type of every event of an order, in order."""
        return sorted((e.sequence, e.type) for e in await self.emitted(order_id))

    async def count(self, sql: str, **values: Any) -> int:
        """The number that a statement says."""
        return int((await self.database.one(Query(sql), **values))[0])


def metadata(token: str = "", key: str = "") -> list[tuple[str, str]]:
    """Call metadata."""
    found = [("authorization", token)] if token else []
    return [*found, ("idempotency-key", key)] if key else found


async def listed(shop: Shop, token: str = "", **filters) -> list[str]:
    """The ids of the first page of orders."""
    reply = await shop.orders.ListOrders(
        order_service_pb2.ListOrdersRequest(**filters), metadata=metadata(token or shop.user)
    )
    return [order.order_id for order in reply.orders]
