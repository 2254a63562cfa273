"""A schema grows while the release before serves: none of its calls fails, whatever they do."""

import asyncio
import itertools
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from weft.order.v1 import (
    money_pb2,
    order_event_pb2,
    order_service_pb2,
    payment_service_pb2,
    product_pb2,
    product_service_pb2,
)

from chassis.errors import ServiceUnavailable
from chassis.storage import migrations
from chassis.storage.database import Database, Query
from services.order import tables
from services.order.__main__ import MIGRATIONS
from tests.harness import Harness
from tests.order.shop import LINE, Shop, metadata
from tests.order.users import Users
from tests.servers import until

NEXT = '''
"""What the next release may do to a table in one step: a column with a default, an index."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("{table}", sa.Column("added_later", sa.Text, nullable=False, server_default=""))
    op.create_index("{table}_added_later", "{table}", ["added_later"])
'''


def write_next(folder: Path) -> None:
    """A revision for each table."""
    before = migrations.head(folder)
    for number, table in enumerate(sorted(tables.metadata.tables), start=9001):
        source = NEXT.format(revision=number, before=before, table=table)
        (folder / "versions" / f"{number}_next.py").write_text(source)
        before = str(number)


def calls(shop: Shop, product_id: str, other: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """A call of every RPC of the service by its name, each of which must succeed whenever it is made."""
    numbers = itertools.count()
    mine, operators = metadata(shop.user), metadata(shop.operator)

    def keyed() -> list[tuple[str, str]]:
        return metadata(shop.operator, f"k{next(numbers)}")

    async def cancelled() -> object:
        return await shop.cancel((await shop.order((product_id, 1), method="pm_sandbox_timeout")).order_id)

    async def watched() -> object:
        stream = shop.watch()
        await stream.read()
        placed = await shop.order((product_id, 1))
        while (message := await stream.read()).order.order_id != placed.order_id:
            assert message.WhichOneof("event") != "error", message
        return stream.cancel()

    async def read_back() -> object:
        placed = await shop.order((product_id, 1))
        await shop.payment(placed.payment_id)
        request = order_event_pb2.ListOrderEventsRequest(order_id=placed.order_id)
        await shop.orders.ListOrderEvents(request, metadata=mine)
        return await shop.get(placed.order_id)

    price = money_pb2.Money(amount_minor=5, currency="EUR")
    products, orders, payments = shop.products, shop.orders, shop.payments
    renamed = product_service_pb2.UpdateProductRequest(product=product_pb2.Product(product_id=other, title="Ink"))
    lines = [LINE(product_id=product_id, quantity=1)]
    return {
        "order": lambda: shop.order((product_id, 1)),
        "read back": read_back,
        "cancel": cancelled,
        "watch": watched,
        "quote": lambda: orders.QuoteOrder(order_service_pb2.QuoteOrderRequest(lines=lines), metadata=mine),
        "list orders": lambda: orders.ListOrders(order_service_pb2.ListOrdersRequest(), metadata=mine),
        "list payments": lambda: payments.ListPayments(payment_service_pb2.ListPaymentsRequest(), metadata=mine),
        "create product": lambda: products.CreateProduct(
            product_service_pb2.CreateProductRequest(title="Pen", price=price), metadata=keyed()
        ),
        "get product": lambda: products.GetProduct(product_service_pb2.GetProductRequest(product_id=product_id)),
        "list products": lambda: products.ListProducts(product_service_pb2.ListProductsRequest()),
        "update product": lambda: products.UpdateProduct(renamed, metadata=operators),
        "adjust stock": lambda: products.AdjustStock(
            product_service_pb2.AdjustStockRequest(product_id=product_id, delta=1, reason="found"), metadata=keyed()
        ),
    }


async def test_the_previous_release_serves_during_a_migration(harness: Harness, users: Users, tmp_path: Path) -> None:
    shutil.copytree(MIGRATIONS, tmp_path / "next")
    write_next(tmp_path / "next")
    async with harness.running("order", peers={"user": [users.address]}) as running:
        shop = Shop(running, harness.issuer)
        made, over = Counter[str](), asyncio.Event()

        async def again_and_again(name: str, call: Callable[[], Awaitable[object]]) -> None:
            while not over.is_set():
                await call()  # an error ends the test
                made[name] += 1

        by_name = calls(shop, await shop.product(stock=1_000_000), await shop.product())
        callers = [asyncio.create_task(again_and_again(*each)) for each in by_name.items()]

        async def all_made(times: int) -> None:
            before = made.copy()

            async def done() -> bool:
                for caller in callers:
                    if caller.done():
                        caller.result()
                return all(made[name] >= before[name] + times for name in by_name)

            await until(done, f"every call to be made {times} times", 60)

        await all_made(3)
        await asyncio.to_thread(migrations.migrate, running.app.database_url, tmp_path / "next", tables.metadata)
        await all_made(5)
        over.set()
        await asyncio.gather(*callers)
        added = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'added_later'"
        assert await shop.count(added) == len(tables.metadata.tables)
        assert await running.app.health.ready(), "a newer schema is no reason not to serve"


@pytest.fixture
async def widened(harness: Harness):
    """A table whose column changes its type after a statement was prepared: more than is allowed in one step."""
    app = harness.app("order", pool_size=1)  # one connection, and its plans
    await app.database.open()
    await app.database.run(Query("CREATE TABLE wide (n int)"))
    await app.database.run(Query("INSERT INTO wide VALUES (1)"))
    yield app.database
    await app.database.close()


READ, WRITE = Query("SELECT n FROM wide"), Query("UPDATE wide SET n = n + 1 RETURNING n")


async def widen(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as other:
        await other.execute("ALTER TABLE wide ALTER COLUMN n TYPE bigint")


async def test_a_plan_that_changed_is_prepared_again(widened: Database) -> None:
    for _ in range(2):
        assert (await widened.one(READ)).n == 1
    await widen(widened)
    for _ in range(2):
        assert (await widened.one(READ)).n == 1


async def test_a_transaction_with_a_changed_plan_is_rolled_back_and_may_be_repeated(widened: Database) -> None:
    async def counted() -> int:
        async with widened.transaction() as tx:
            await tx.run(Query("INSERT INTO wide VALUES (10)"))
            return len(await tx.all(WRITE))

    assert await counted() == 2
    await widen(widened)
    with pytest.raises(ServiceUnavailable):
        await counted()
    assert await counted() == 3
