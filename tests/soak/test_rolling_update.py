"""A rolling update of the whole mesh under load: services and edges are replaced one process at a time, no call fails."""

import asyncio
import itertools
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import weft_client
from weft_client import AsyncWeft, ClientCredentials

from tests.mesh import Mesh
from tests.servers import until

pytestmark = pytest.mark.soak
CALLS = 10_000
PRODUCT = "prd_01k4000000e008000000000007"
PAUSE = 0.01
"""Seconds between two calls of one caller."""
PARTS = ("user", "order", "notification", "envoy")
STREAM_S = 30
"""Seconds that a watcher lets its stream last. The mesh drains an edge for ten more, as on Kubernetes, where streams last for minutes."""


@pytest.fixture(scope="module")
def mesh(folder: Path) -> Iterator[Mesh]:
    """Two replicas of each service and two edges."""
    options = {"WEFT_REPLICAS": "2", "WEFT_EDGES": "2", "WEFT_TRACE_RATIO": "0.01", "WEFT_EDGE_DRAIN": "40"}
    started = Mesh(folder / "rolling", options).start()
    yield started
    started.stop()


class Balancer:
    """What stands before the edges, as a Service of Kubernetes does: it asks each whether it is ready, and prefers those that are."""

    def __init__(self, mesh: Mesh, http: httpx.AsyncClient) -> None:
        file = mesh.content
        self._http = http
        self._ready = [f"{url.rpartition('/stats')[0]}/ready" for url in file["metrics"]["envoy"]]
        self._edges: list[str] = file["edges"]
        self._leaves = [False] * len(self._edges)
        self._turn = itertools.count()

    async def watch(self) -> None:
        """Ask until cancelled."""
        while True:
            for number, url in enumerate(self._ready):
                try:
                    self._leaves[number] = (await self._http.get(url)).status_code != 200
                except httpx.TransportError:
                    self._leaves[number] = True
            await asyncio.sleep(0.2)

    def order(self) -> list[str]:
        """The edges, the next one to try first."""
        count, turn = len(self._edges), next(self._turn)
        return [self._edges[n] for n in sorted(range(count), key=lambda n: (self._leaves[n], (n + turn) % count))]


class Rest:
    """A partner over plain REST who repeats nothing: its balancer tries the other edge where one accepts no connection."""

    def __init__(self, mesh: Mesh, http: httpx.AsyncClient, balancer: Balancer, found: Counter[str]) -> None:
        self._http, self._balancer, self._found = http, balancer, found
        self._partner = mesh.content["partner"]
        self._headers: dict[str, str] = {}
        self._order: dict[str, object] = {}
        self.placed: set[str] = set()
        self.cursor = ""
        """Of the stream of orders, once it has begun."""

    async def begin(self) -> None:
        """Sign in, and create a customer."""
        form = {"grant_type": "client_credentials"}
        credentials = (self._partner["client_id"], self._partner["client_secret"])
        reply = await self._http.post(f"{self._balancer.order()[0]}/oauth2/token", data=form, auth=credentials)
        self._headers = {"authorization": f"Bearer {reply.json()['access_token']}"}
        customer = await self._send("POST", "/v1/users", json={"email": f"{secrets.token_hex(16)}@customer.example"})
        lines = [{"productId": PRODUCT, "quantity": 1}]
        self._order = {"customerId": customer.json()["userId"], "lines": lines, "paymentMethod": "pm_sandbox_ok"}

    async def read(self) -> None:
        """List orders."""
        reply = await self._send("GET", "/v1/orders?pageSize=1")
        self._found[f"REST GET {reply.status_code}"] += 1

    async def write(self) -> None:
        """Place an order, once."""
        key = {"idempotency-key": secrets.token_hex(16)}
        reply = await self._send("POST", "/v1/orders", headers=key, json=self._order)
        self._found[f"REST POST {reply.status_code}"] += 1
        if reply.status_code == 201:
            self.placed.add(reply.json()["orderId"])

    async def follow(self, seen: set[str]) -> None:
        """Watch orders as server-sent events until cancelled; a stream that says its end is resumed."""
        headers = {**self._headers, "grpc-timeout": f"{STREAM_S}S"}
        while True:
            url, query = f"{self._balancer.order()[0]}/v1/orders:watch", {"cursor": self.cursor}
            try:
                async with self._http.stream("GET", url, params=query, headers=headers, timeout=60) as answer:
                    async for line in answer.aiter_lines():
                        message = json.loads(line.removeprefix("data: ")) if line else {}
                        self.cursor = message.get("cursor") or self.cursor
                        if "order" in message:
                            seen.add(message["order"]["orderId"])
                        elif "error" in message:
                            self._found[f"SSE end {message['error']['code']}"] += 1
            except httpx.ConnectError:
                continue
            except httpx.RemoteProtocolError:
                self._found["SSE cut without its last message"] += 1

    async def _send(
        self, method: str, path: str, headers: dict[str, str] | None = None, **body: object
    ) -> httpx.Response:
        sent = {**self._headers, **(headers or {})}
        for edge in self._balancer.order():
            try:
                return await self._http.request(method, edge + path, headers=sent, **body)
            except httpx.ConnectError:
                self._found["connections refused by one edge, taken by the other"] += 1
        raise AssertionError("no edge accepts connections")


class Library:
    """The same partner with the client library over gRPC, which knows both edges."""

    def __init__(self, weft: AsyncWeft, found: Counter[str]) -> None:
        self._weft, self._found = weft, found
        self._customer = ""
        self.placed: set[str] = set()

    async def begin(self) -> None:
        """Create a customer."""
        created = await self._weft.users.create_user(email=f"{secrets.token_hex(16)}@customer.example")
        self._customer = created.user_id

    async def read(self) -> None:
        """Get a product."""
        try:
            await self._weft.products.get_product(product_id=PRODUCT)
        except weft_client.errors.WeftError as error:
            self._found[f"gRPC read {error!r}"] += 1
        else:
            self._found["gRPC read OK"] += 1

    async def write(self) -> None:
        """Place an order."""
        lines = [{"product_id": PRODUCT, "quantity": 1}]
        try:
            order = await self._weft.orders.create_order(
                customer_id=self._customer, lines=lines, payment_method="pm_sandbox_ok"
            )
        except weft_client.errors.WeftError as error:
            self._found[f"gRPC write {error!r}"] += 1
        else:
            self._found["gRPC write OK"] += 1
            self.placed.add(order.order_id)

    async def follow(self, seen: set[str], cursor: str) -> None:
        """Watch orders from a cursor until cancelled; a stream that ends as unavailable is resumed."""
        while True:
            try:
                async with self._weft.orders.watch_orders(cursor=cursor, timeout=STREAM_S) as changes:
                    async for change in changes:
                        cursor = change.cursor or cursor
                        if change.HasField("order"):
                            seen.add(change.order.order_id)
            except (weft_client.errors.Unavailable, weft_client.errors.DeadlineExceeded) as error:
                self._found[f"gRPC stream end {type(error).__name__}"] += 1
                await asyncio.sleep(PAUSE)


@asynccontextmanager
async def _callers(mesh: Mesh, found: Counter[str]) -> AsyncIterator[tuple[Rest, Library]]:
    file = mesh.content
    credentials = ClientCredentials(file["partner"]["client_id"], file["partner"]["client_secret"])
    addresses = [edge.replace("localhost", "127.0.0.1") for edge in file["edges_tls"]]
    async with (
        httpx.AsyncClient(timeout=15, limits=httpx.Limits(max_connections=50)) as http,
        AsyncWeft(addresses, auth=credentials, ca=file["ca"]) as weft,
    ):
        balancer = Balancer(mesh, http)
        rest, library = Rest(mesh, http, balancer, found), Library(weft, found)
        watch = asyncio.create_task(balancer.watch())
        await rest.begin()
        await library.begin()
        yield rest, library
        watch.cancel()


async def test_a_rolling_update_fails_none_of_ten_thousand_calls(mesh: Mesh) -> None:
    found, over = Counter[str](), asyncio.Event()
    seen: dict[str, set[str]] = {"REST": set(), "gRPC": set()}
    replaced = {part: set(mesh.content["pids"][part]) for part in PARTS}
    async with _callers(mesh, found) as (rest, library):

        async def again(call: Callable[[], Awaitable[None]]) -> None:
            while not over.is_set():
                await call()
                await asyncio.sleep(PAUSE)

        calls = [rest.read, rest.write, library.read, library.write]
        followers = [asyncio.create_task(rest.follow(seen["REST"]))]

        async def begun() -> bool:
            return bool(rest.cursor)

        await until(begun, "the stream, which is told of nothing that was placed before", seconds=30)
        followers.append(asyncio.create_task(library.follow(seen["gRPC"], rest.cursor)))
        load = [asyncio.create_task(again(call)) for call in calls for _ in range(2)]
        rounds = 0
        while sum(found.values()) < CALLS:
            for part in PARTS:
                done = await asyncio.to_thread(mesh.command, "restart", part)
                assert done.returncode == 0, done.stderr
            rounds += 1
        over.set()
        await asyncio.gather(*load)
        placed = rest.placed | library.placed

        def missing() -> dict[str, set[str]]:
            return {kind: placed - known for kind, known in seen.items() if placed - known}

        async def told() -> bool:
            return not missing() or any(task.done() for task in followers)

        with suppress(AssertionError):  # said below, with the orders
            await until(told, "every order to be told to both watchers", seconds=60)
        for task in followers:
            task.cancel()
        ends = await asyncio.gather(*followers, return_exceptions=True)
    print(
        f"\n{rounds} rolling updates of {', '.join(PARTS)}: {sum(found.values())} calls, {len(placed)} orders: {dict(found)}"
    )
    assert all(replaced[part].isdisjoint(mesh.content["pids"][part]) for part in PARTS)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
    assert not missing(), f"orders that a watcher was not told of: {missing()}"
    expected = (
        "REST GET 200",
        "REST POST 201",
        "gRPC read OK",
        "gRPC write OK",
        "SSE end 14",
        "gRPC stream end",
    )
    assert not [name for name in found if not name.startswith((*expected, "connections"))]
