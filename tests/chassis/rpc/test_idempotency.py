"""Waiting for a lock: IDEMPOTENCY_KEY_IN_USE is answered where a call waited for its key, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chassis.app import App
from chassis.rpc.call import Call
from chassis.storage.database import Database, Query
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import USER, Items, serving, unary
from tests.harness import Harness, Running, assert_refused
from tests.servers import until

IMPATIENT = Query("SET LOCAL lock_timeout = '100ms'")
LOCK = Query("SELECT pg_advisory_xact_lock(1)")


class Handlers(Items):
    """Create nothing: hold the key, or the lock that others wait for, until released."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.released = asyncio.Event()
        self.holding = False

    async def CreateItem(self, request: Any, call: Call) -> Any:
        reply = pb.Item(title=request.title)
        async with self._database.transaction() as tx:
            await tx.run(IMPATIENT)
            if request.title == "row":
                await tx.first(LOCK)
            await call.remember(tx, reply)
            self.holding = True
            await self.released.wait()
        return reply


@asynccontextmanager
async def replica(harness: Harness, prefix: str) -> AsyncIterator[tuple[Running, Handlers]]:
    kept: list[Handlers] = []

    def handlers(app: App) -> Handlers:
        kept.append(Handlers(app.database))
        return kept[0]

    async with serving(harness, handlers, prefix=prefix) as running:
        yield running, kept[0]


async def create(harness: Harness, running: Running, title: str, key: str | None) -> Any:
    metadata = [("authorization", harness.issuer.operator(USER, "products.write"))]
    metadata += [("idempotency-key", key)] if key else []
    return await unary(running, "CreateItem")(pb.CreateItemRequest(title=title), metadata=metadata, timeout=20)


async def test_only_a_call_that_waited_for_its_key_is_refused_for_the_key(harness: Harness) -> None:
    prefix = harness.service_database("probe")
    async with replica(harness, prefix) as (one, first), replica(harness, prefix) as (two, second):
        second.released.set()
        holder = asyncio.create_task(create(harness, one, "row", "k1"))

        async def holds() -> bool:
            return first.holding

        await until(holds, "the first call to hold its key and the lock")
        answers = [
            await assert_refused(create(harness, two, "free", "k1"), "IDEMPOTENCY_KEY_IN_USE"),
            await assert_refused(create(harness, two, "row", "k2"), "RESOURCE_BUSY"),
            await assert_refused(create(harness, two, "row", None), "RESOURCE_BUSY"),
        ]
        first.released.set()
        await holder
        assert [(answer.metadata, answer.retry_after) for answer in answers] == [({}, 1.0)] * 3
        assert (await create(harness, two, "free", "k3")).title == "free"


async def test_a_key_that_is_given_twice_is_refused(harness: Harness) -> None:
    async with replica(harness, harness.service_database("probe")) as (running, handlers):
        handlers.released.set()
        call, request = unary(running, "CreateItem"), pb.CreateItemRequest(title="Tea")
        token = ("authorization", harness.issuer.operator(USER, "products.write"))
        for keys in (("k1", "k2"), ("k1", "k1"), ("", "k1")):
            metadata = [token, *(("idempotency-key", key) for key in keys)]
            await assert_refused(call(request, metadata=metadata, timeout=20), "IDEMPOTENCY_KEY_INVALID")
        await assert_refused(call(request, metadata=[token, token], timeout=20), "TOKEN_INVALID")
