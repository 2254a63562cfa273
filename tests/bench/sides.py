"""The ways to place the same order, told in the same words."""

from dataclasses import dataclass
from typing import Any, Self

import grpc
import httpx
import psycopg
from google.protobuf import json_format
from weft.order.v1 import order_service_pb2, order_service_pb2_grpc

from bench.stacks.peers import Peer
from chassis import ids
from tests.harness import Issuer, Running, refusal
from tests.order.users import Users

SCARCE, PLENTY = 3, 100


@dataclass(frozen=True)
class Answer:
    """What came of a request: `OK` or the reason of the refusal, whether it was a replay, and the order as JSON."""

    outcome: str
    replayed: bool = False
    order: dict[str, Any] | None = None


class Side:
    """A server, its database, a customer of the calling partner, and two products."""

    url: str
    customer: str
    products: list[str]

    async def place(self, order: dict[str, Any], key: str = "") -> Answer:
        """Sends `CreateOrder`."""
        raise NotImplementedError

    async def get(self, order_id: str) -> Answer:
        """Sends `GetOrder`."""
        raise NotImplementedError

    async def listed(self) -> list[str]:
        """The ids that `ListOrders` returns, in pages of two."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def order(self, *quantities: int, **more: Any) -> dict[str, Any]:
        """A request for so many pieces of each product."""
        lines = [{"productId": one, "quantity": n} for one, n in zip(self.products, quantities, strict=False) if n]
        return {"customerId": self.customer, "lines": lines, "paymentMethod": "pm_sandbox_ok", **more}

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Asks the database itself."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            return await (await connection.execute(sql.encode())).fetchall()

    async def stock(self) -> list[int]:
        """What is left of each product."""
        rows = dict(await self.query("SELECT product_id, stock FROM products"))
        return [rows[product] for product in self.products]

    async def written(self) -> dict[str, int]:
        """How many rows of each kind there are."""
        counts = [(await self.query(f"SELECT count(*) FROM {table}"))[0][0] for table in self._tables()]
        return dict(zip(("orders", "lines", "payments", "events", "replies", "changes"), counts, strict=True))

    async def empty(self) -> None:
        """Leaves only customers and products."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute(f"TRUNCATE {', '.join(self._tables())}".encode())

    def _tables(self) -> tuple[str, ...]:
        return "orders", "order_lines", "payments", "outbox", "idempotency", self.timeline

    timeline = "order_events"


class _Grpc(Side):
    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.stub = order_service_pb2_grpc.OrderServiceStub(channel)
        self.token = token

    def _metadata(self, key: str = "") -> list[tuple[str, str]]:
        return [("authorization", self.token), *([("idempotency-key", key)] if key else [])]

    async def place(self, order: dict[str, Any], key: str = "") -> Answer:
        call = self.stub.CreateOrder(
            json_format.ParseDict(order, order_service_pb2.CreateOrderRequest()), metadata=self._metadata(key)
        )
        return await self._answer(call)

    async def get(self, order_id: str) -> Answer:
        request = order_service_pb2.GetOrderRequest(order_id=order_id)
        return await self._answer(self.stub.GetOrder(request, metadata=self._metadata()))

    async def listed(self) -> list[str]:
        found, token = [], ""
        while True:
            request = order_service_pb2.ListOrdersRequest(page_size=2, page_token=token)
            page = await self.stub.ListOrders(request, metadata=self._metadata())
            found += [order.order_id for order in page.orders]
            token = page.next_page_token
            if not token:
                return found

    async def _answer(self, call: Any) -> Answer:
        try:
            order = await call
        except grpc.aio.AioRpcError as error:
            return Answer(self._reason(error))
        replayed = dict(await call.initial_metadata()).get("idempotency-replayed") == "true"
        return Answer("OK", replayed, json_format.MessageToDict(order, always_print_fields_with_no_presence=True))

    def _reason(self, error: grpc.aio.AioRpcError) -> str:
        raise NotImplementedError


class Weft(_Grpc):
    """Our order service."""

    timeline = "order_changes"
    partner_id = ""

    @classmethod
    def of(cls, running: Running, issuer: Issuer, users: Users) -> "Weft":
        """Running, with the user service's answers."""
        partner_id = ids.new("prt")
        made = cls(running.channel, issuer.partner(partner_id, "orders.read orders.write products.write"))
        made.url, made.customer, made.partner_id = running.app.database_url, ids.new("usr"), partner_id
        users.add(made.customer, partner_id)
        made.products = [ids.new("prd"), ids.new("prd")]
        return made

    def _reason(self, error: grpc.aio.AioRpcError) -> str:
        return _common(refusal(error).reason)


class PeerB(_Grpc):
    """grpc.aio as it comes."""

    def __init__(self, peer: Peer, url: str) -> None:
        self._channel = grpc.aio.insecure_channel(peer.targets[0])
        super().__init__(self._channel, f"Bearer {peer.token}")
        self.url, self.customer, self.products = url, peer.customers[0], peer.products[:2]

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def _reason(self, error: grpc.aio.AioRpcError) -> str:
        reason, colon, _ = (error.details() or "").partition(": ")
        return reason if colon and reason.isupper() else _common(error.code().name)


class Rest(Side):
    """A peer of HTTP and JSON."""

    def __init__(self, peer: Peer, url: str) -> None:
        headers = {"authorization": f"Bearer {peer.token}"}
        self._http = httpx.AsyncClient(base_url=f"http://{peer.targets[0]}", headers=headers, timeout=30)
        self.url, self.customer, self.products = url, peer.customers[0], peer.products[:2]

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def place(self, order: dict[str, Any], key: str = "") -> Answer:
        headers = {"idempotency-key": key} if key else {}
        return self._answer(await self._http.post("/v1/orders", json=order, headers=headers))

    async def get(self, order_id: str) -> Answer:
        return self._answer(await self._http.get(f"/v1/orders/{order_id}"))

    async def listed(self) -> list[str]:
        found, token = [], ""
        while True:
            page = (await self._http.get("/v1/orders", params={"pageSize": 2, "pageToken": token})).json()
            found += [order["orderId"] for order in page["orders"]]
            token = page["nextPageToken"]
            if not token:
                return found

    def _answer(self, reply: httpx.Response) -> Answer:
        if reply.is_success:
            return Answer("OK", reply.headers.get("idempotency-replayed") == "true", reply.json())
        body = reply.json()
        return Answer(_common(body.get("reason") or str(reply.status_code)))


def _common(reason: str) -> str:
    """Each side's word for a request that breaks the contract's bounds."""
    broken = ("REQUEST_INVALID", "IDEMPOTENCY_KEY_MISSING", "INVALID_ARGUMENT", "422")
    return "INVALID" if reason in broken else reason


async def filled(side: Side) -> Side:
    """Gives the side its two products' stock; Weft's are made here."""
    scarce, plenty = side.products
    async with await psycopg.AsyncConnection.connect(side.url, autocommit=True) as connection:
        if isinstance(side, Weft):
            await connection.execute(
                "INSERT INTO products (product_id, partner_id, title, price_minor, currency, stock, active, version, "
                "created_at, updated_at) SELECT id, '', 'Ink', 100, 'EUR', 1, true, 1, now(), now() "
                "FROM unnest(%s::text[]) AS t(id)",
                (side.products,),
            )
        for product, stock in ((scarce, SCARCE), (plenty, PLENTY)):
            await connection.execute("UPDATE products SET stock = %s WHERE product_id = %s", (stock, product))
    return side
