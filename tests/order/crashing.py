"""The order service on a PostgreSQL server that crashes, and a watcher that resumes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import grpc
import psycopg
from weft.order.v1.order_service_pb2 import WatchOrdersResponse

from chassis.storage import database, migrations
from services.order import tables
from services.order.__main__ import MIGRATIONS
from tests.harness import Harness, refusal
from tests.order.shop import Shop
from tests.servers import CrashingPostgres, until

PREFIX = "crash"
RETRIED = ("SERVICE_UNAVAILABLE", "DEADLINE_EXPIRED", "IDEMPOTENCY_KEY_IN_USE", "RESOURCE_BUSY")


@contextmanager
def crashing(folder: Path) -> Iterator[CrashingPostgres]:
    """A server with the service's database; what was not waited for is not on its disk."""
    server = CrashingPostgres(folder)
    try:
        migrations.migrate(database.of_service(server.url, PREFIX, "order"), MIGRATIONS, tables.metadata)
        with psycopg.connect(server.url, dbname="postgres", autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.close()


@asynccontextmanager
async def shop_of(harness: Harness, server: CrashingPostgres) -> AsyncIterator[Shop]:
    """The service without workers: nothing is written but what the test writes."""
    async with harness.running("order", prefix=PREFIX, database_url=server.url, work=False) as running:
        yield Shop(running, harness.issuer)


def roll_back(server: CrashingPostgres, times: int) -> None:
    """Transactions that have numbers and write nothing."""
    with psycopg.connect(database.of_service(server.url, PREFIX, "order")) as connection:
        for _ in range(times):
            connection.execute("SELECT pg_current_xact_id()")
            connection.rollback()


async def placed(shop: Shop, product_id: str, key: str) -> str:
    """The id of an order that was acknowledged, retried while the database is down."""
    async with asyncio.timeout(60):
        while True:
            try:
                return str((await shop.order((product_id, 1), key=key)).order_id)
            except grpc.RpcError as error:
                if refusal(error).reason not in RETRIED:
                    raise
                await asyncio.sleep(0.05)


class Resuming:
    """A watcher that resumes from its last cursor whenever its stream ends. `seen`: the orders that it received."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.cursor = ""
        self.seen: list[str] = []

    async def follow(self) -> None:
        """Until cancelled. Fails where a cursor is refused."""
        while True:
            try:
                async for message in self._shop.watch(self.cursor):
                    self._take(message)
            except grpc.RpcError as error:
                if refusal(error).reason == "CURSOR_INVALID":
                    raise
                await asyncio.sleep(0.05)

    async def received(self, orders: list[str]) -> None:
        """Follow until all of these orders were received."""
        following = asyncio.create_task(self.follow())

        async def done() -> bool:
            return following.done() or set(orders) <= set(self.seen)

        try:
            await until(done, "every order to be received", 60)
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def begin(self) -> None:
        """Take the first cursor and go."""
        stream = self._shop.watch(self.cursor)
        self._take(await stream.read())
        stream.cancel()

    def _take(self, message: WatchOrdersResponse) -> None:
        if message.cursor:
            self.cursor = message.cursor
        if message.WhichOneof("event") == "order":
            self.seen.append(message.order.order_id)
