"""Restarts, crashes and new certificates under load: what may be repeated never fails for good."""

import asyncio
import json
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import weft_client
from weft_client import AsyncWeft, ClientCredentials

from tests.mesh import Mesh
from tests.servers import until

pytestmark = pytest.mark.soak
PRODUCT = "prd_01k4000000e008000000000007"
CALLERS = 4
PAUSE = 0.02
"""Seconds between two calls of one caller: load enough to be hit, and a bound on how many calls a run makes."""


@pytest.fixture(scope="module")
def mesh(folder: Path) -> Iterator[Mesh]:
    """Two replicas of each service and two edges."""
    started = Mesh(folder / "mesh", {"WEFT_REPLICAS": "2", "WEFT_EDGES": "2", "WEFT_TRACE_RATIO": "0.01"}).start()
    yield started
    started.stop()


@asynccontextmanager
async def load(*callers: Callable[[], Awaitable[str]]) -> AsyncIterator[Counter[str]]:
    """Callers that call again and again while a block runs; how often they got which answer."""
    found: Counter[str] = Counter()
    ended = asyncio.Event()

    async def again(caller: Callable[[], Awaitable[str]]) -> None:
        while not ended.is_set():
            found[await caller()] += 1
            await asyncio.sleep(PAUSE)

    tasks = [asyncio.create_task(again(caller)) for caller in callers for _ in range(CALLERS)]
    try:
        yield found
    finally:
        ended.set()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def signed_in(mesh: Mesh) -> AsyncIterator[tuple[httpx.AsyncClient, list[str], dict[str, str], dict[str, Any]]]:
    """A client, the edges, the headers of a partner, and an order of one of its customers."""
    file = mesh.content
    async with httpx.AsyncClient(timeout=15, limits=httpx.Limits(max_connections=50)) as http:
        form = {"grant_type": "client_credentials"}
        credentials = (file["partner"]["client_id"], file["partner"]["client_secret"])
        token = await http.post(f"{file['edge']}/oauth2/token", data=form, auth=credentials)
        headers = {"authorization": f"Bearer {token.json()['access_token']}"}
        address = f"{uuid.uuid4().hex}@customer.example"
        made = await http.post(f"{file['edge']}/v1/users", headers=headers, json={"email": address})
        body = {
            "customerId": made.json()["userId"],
            "lines": [{"productId": PRODUCT, "quantity": 1}],
            "paymentMethod": "pm_sandbox_ok",
        }
        yield http, [file["edge"], *(edge for edge in file["edges"] if edge != file["edge"])], headers, body


@asynccontextmanager
async def partner(mesh: Mesh) -> AsyncIterator[tuple[Callable[[], Awaitable[str]], Callable[[], Awaitable[str]]]]:
    """A partner over plain REST that repeats nothing: reads, and keyed writes."""
    async with signed_in(mesh) as (http, edges, headers, body):

        async def read() -> str:
            reply = await http.get(f"{edges[os.urandom(1)[0] % len(edges)]}/v1/orders?pageSize=1", headers=headers)
            return f"GET {reply.status_code}"

        async def write() -> str:
            keyed = {**headers, "idempotency-key": uuid.uuid4().hex}
            reply = await http.post(f"{edges[os.urandom(1)[0] % len(edges)]}/v1/orders", headers=keyed, json=body)
            return f"POST {reply.status_code}"

        yield read, write


async def command(mesh: Mesh, *words: str) -> None:
    done = await asyncio.to_thread(mesh.command, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", ["user", "order", "notification"])
async def test_partners_see_no_error_while_a_service_is_restarted(mesh: Mesh, service: str) -> None:
    async with partner(mesh) as callers, load(*callers) as found:
        before = mesh.content["pids"][service]
        await command(mesh, "restart", service)
    print(f"\nrolling restart of {service}: {dict(found)}")
    assert set(mesh.content["pids"][service]).isdisjoint(before)
    assert set(found) == {"GET 200", "POST 201"}


async def test_partners_see_no_error_while_every_certificate_is_renewed(mesh: Mesh) -> None:
    async with partner(mesh) as callers, load(*callers) as found:
        await command(mesh, "rotate")
        await command(mesh, "restart", "order")
    print(f"\nrotation of all certificates: {dict(found)}")
    assert set(found) == {"GET 200", "POST 201"}


async def test_a_watcher_over_rest_that_is_cut_a_hundred_times_misses_nothing(mesh: Mesh) -> None:
    """Each time it resumes at another edge; cut before the first message, between two, or in the middle of one."""
    async with signed_in(mesh) as (http, edges, headers, body):
        cursor, cuts = "", 0
        seen: list[tuple[str, int]] = []

        async def watch() -> None:
            nonlocal cursor
            address = f"{edges[cuts % len(edges)]}/v1/orders:watch"
            async with http.stream("GET", address, params={"cursor": cursor}, headers=headers) as reply:
                assert reply.status_code == 200, await reply.aread()
                async for line in reply.aiter_lines():
                    message = json.loads(line.removeprefix("data: ")) if line else {}
                    cursor = message.get("cursor") or cursor
                    if order := message.get("order"):
                        seen.append((order["orderId"], int(order["etag"])))
                    elif not placed and cursor:
                        return  # where it begins

        async def buy() -> str:
            keyed = {**headers, "idempotency-key": uuid.uuid4().hex}
            reply = await http.post(f"{edges[0]}/v1/orders", headers=keyed, json=body)
            return str(reply.raise_for_status().json()["orderId"])

        placed: list[str] = []
        await watch()
        while cuts < 100:
            placed.append(await buy())
            with suppress(TimeoutError):
                async with asyncio.timeout(random.choice((0, 0.01, 0.05, 0.2))):
                    await watch()
            cuts += 1
        wanted = set()
        for order_id in placed:
            order: dict[str, str] = {}
            while order.get("paymentState") != "PAYMENT_STATE_CAPTURED":
                order = (await http.get(f"{edges[0]}/v1/orders/{order_id}", headers=headers)).json()
            wanted |= {(order_id, version) for version in range(1, int(order["etag"]) + 1)}
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await watch()
    print(f"\n{cuts} cuts, {len(placed)} orders, {len(wanted)} changes of them, {len(seen)} told")
    assert not wanted - set(seen)
    assert all(seen.index((order_id, 1)) < seen.index((order_id, 2)) for order_id in placed)


@pytest.mark.parametrize("service", ["user", "order", "notification"])
async def test_a_killed_replica_costs_no_call_that_may_be_repeated(mesh: Mesh, service: str) -> None:
    file = mesh.content
    credentials = ClientCredentials(file["partner"]["client_id"], file["partner"]["client_secret"])
    async with AsyncWeft(file["edge_tls"].removeprefix("https://"), auth=credentials, ca=file["ca"]) as weft:
        customer = await weft.users.create_user(email=f"{uuid.uuid4().hex}@customer.example")

        async def read() -> str:
            return await _outcome(weft.products.get_product(product_id=PRODUCT))

        async def write() -> str:
            lines = [{"product_id": PRODUCT, "quantity": 1}]
            return await _outcome(
                weft.orders.create_order(customer_id=customer.user_id, lines=lines, payment_method="pm_sandbox_ok")
            )

        async with load(read, write) as found:
            for _ in range(3):
                killed = mesh.content["pids"][service][0]
                os.kill(killed, signal.SIGKILL)

                async def is_back(killed: int = killed) -> bool:
                    pids = mesh.content["pids"][service]
                    return killed not in pids and len(pids) == 2

                await until(is_back, f"{service} to be started again", seconds=30)
    print(f"\nkill -9 of {service} thrice: {dict(found)}")
    assert set(found) == {"OK"}


async def _outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except weft_client.errors.WeftError as error:
        return repr(error)
    return "OK"
