"""A list of a million orders: the ten-thousandth page costs what the first does, whatever is filtered; an export holds a page."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import psycopg
import pytest
from weft.order.v1 import export_pb2, order_service_pb2_grpc

from chassis import ids
from chassis.rpc.pagination import NEWEST
from services.order.orders import list_statements, repository
from tests import plans
from tests.harness import Harness
from tests.order.shop import metadata
from tests.soak.lists import million
from tests.soak.sagas.service import Service

pytestmark = pytest.mark.soak
ORDERS = int(os.environ.get("ORDERS", "1000000"))
EXPORTED = int(os.environ.get("EXPORTED", str(ORDERS)))
PREFIX = "million"
PAGE = 51
"""Rows of a page of 50: one more shows that there is a next one."""
DEPTH = 10_000 * 50
MAX_BLOCKS = 4_000
"""Of a page: a walk down an index for each row and its lines, and for each combination of states that is asked for, which may
have as many orders as the page."""
SCOPES = "orders.read"
_FIRST = re.compile(rb'(?:{"orderId":")?(ord_[0-9a-z]{26})')
STATES = {
    "states": ["PENDING", "CONFIRMED", "COMPLETED", "CANCELLED", "EXPIRED"],
    "payment_states": ["FAILED", "VOIDED", "CHARGED_BACK", "REFUNDED", "CAPTURED", "ACTION_REQUIRED"],
    "fulfilment_states": ["UNFULFILLED", "SHIPPED", "RETURNED", "DELIVERED"],
}
NEWEST_AND_NUMBER = """
SELECT max(created_at), (SELECT order_number FROM orders WHERE external_reference = 'ref 100004') AS number FROM orders
"""
OWNERS = {"anyone": "", "partner": million.PARTNER, "customer": million.CUSTOMER}


class Filter(NamedTuple):
    """What a list may be asked for, as the repository takes it."""

    name: str
    values: dict[str, Any]


def filters(newest: Any, number: str) -> Iterator[Filter]:
    """Every filter by itself, with each of its values, and those that meet often, seldom, or never. `number`: of an order."""
    yield Filter("all", {})
    for axis, states in STATES.items():
        for state in states:
            yield Filter(state, {axis: [state]})
        yield Filter(f"any of {axis}", {axis: states})
    yield Filter("paid, not sent", {"payment_states": ["CAPTURED"], "fulfilment_states": ["UNFULFILLED"]})
    yield Filter("sent, charged back", {"payment_states": ["CHARGED_BACK"], "fulfilment_states": ["DELIVERED"]})
    yield Filter("completed, charged back", {"payment_states": ["CHARGED_BACK"], "states": ["COMPLETED"]})
    yield Filter("pending, not sent", {"states": ["PENDING"], "fulfilment_states": ["UNFULFILLED"]})
    yield Filter("never: expired, delivered", {"states": ["EXPIRED"], "fulfilment_states": ["DELIVERED"]})
    yield Filter("never: pending, captured", {"states": ["PENDING"], "payment_states": ["CAPTURED"]})
    day, month = newest - repository.timedelta(days=1), newest - repository.timedelta(days=30)
    yield Filter("of a day", {"created_from": day, "created_to": newest})
    yield Filter("before a month", {"created_to": month})
    yield Filter("cancelled before a month", {"created_to": month, "states": ["CANCELLED"]})
    yield Filter("a reference", {"external_reference": "ref 100004"})
    yield Filter("a number", {"order_number": number})
    yield Filter("a customer", {"customer_id": million.CUSTOMER})
    yield Filter("a customer's cancelled", {"customer_id": million.CUSTOMER, "states": ["CANCELLED"]})
    yield Filter("a customer's charged back", {"customer_id": million.CUSTOMER, "payment_states": ["CHARGED_BACK"]})


@pytest.fixture(scope="module")
def full(postgres_url: str, template: Callable[[str], str]) -> Iterator[psycopg.Connection]:
    """The orders."""
    began = time.monotonic()
    with million.filled(postgres_url, template("order"), PREFIX, ORDERS) as connection:
        print(f"\n{ORDERS:,} orders made in {time.monotonic() - began:.0f} s")
        yield connection


def test_the_ten_thousandth_page_costs_what_the_first_does(full: psycopg.Connection) -> None:
    newest, number = full.execute(NEWEST_AND_NUMBER).fetchone() or ("", "")
    dear: list[str] = []
    for kind, owner in OWNERS.items():
        for name, values in filters(newest, number):
            first, far = page(full, kind, owner, values, 0), page(full, kind, owner, values, DEPTH)
            line = f"{kind:8} {name:28} {first} {far}"
            print(line)
            # A customer's orders are read through their own index: by states, at most all of that customer's.
            most = ORDERS // 97 + MAX_BLOCKS if "customer" in (kind, name[2:10]) else MAX_BLOCKS
            if max(first.blocks, far.blocks) > most or (most == MAX_BLOCKS and far.blocks > 1.5 * first.blocks + 60):
                dear.append(line)
    assert not dear, "\n".join(["pages that cost more than others:", *dear])


class Cost(NamedTuple):
    """Of one page: its rows, blocks of the database that it touched, and milliseconds."""

    rows: int
    blocks: int
    ms: float

    def __str__(self) -> str:
        return f"{self.rows:3} rows {self.blocks:6} blocks {self.ms:7.2f} ms"


def page(full: psycopg.Connection, kind: str, owner: str, values: dict[str, Any], depth: int) -> Cost:
    """The page after `depth` orders, or the last one; the best of three times."""
    given = {**values, "owner": owner, "limit": PAGE}
    if "created_from" in values:
        given["first_id"] = repository._id_at(values["created_from"])
    if "created_to" in values:
        given["last_id"] = repository._id_at(values["created_to"])
    given["after"] = key_at(full, kind, given, values, depth) if depth else NEWEST
    asked = list_statements.values(values)
    given |= asked
    sql = repository._list(kind, frozenset(asked)).sql
    found = [plans.generic(full, sql, given, "ANALYZE, BUFFERS, FORMAT JSON")[0][0] for _ in range(3)]
    top = found[-1]["Plan"]
    blocks = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    return Cost(int(top["Actual Rows"]), blocks, min(plan["Execution Time"] for plan in found))


def key_at(full: psycopg.Connection, kind: str, given: dict[str, Any], values: dict[str, Any], depth: int) -> str:
    """The order before a page: `depth` orders from the newest, or where the last page begins."""
    where = [f"{axis[:-1]} = ANY(%({axis})s)" for axis in STATES if axis in values]
    where += [
        f"{name} = %({name})s" for name in ("customer_id", "external_reference", "order_number") if name in values
    ]
    where += [f"{kind}_id = %(owner)s"] if kind in ("customer", "partner") else []
    where += ["created_at >= %(created_from)s"] if "created_from" in values else []
    where += ["created_at < %(created_to)s"] if "created_to" in values else []
    matching = f"SELECT order_id, row_number() OVER (ORDER BY order_id DESC) AS n FROM orders WHERE {' AND '.join(where) or 'true'}"
    sql = f"SELECT order_id FROM ({matching}) m WHERE n <= GREATEST(1, LEAST(%(depth)s, (SELECT count(*) FROM ({matching}) c) - {PAGE})) ORDER BY n DESC LIMIT 1"
    found = full.execute(sql.encode(), {**given, "depth": depth}).fetchone()
    return found[0] if found else NEWEST


@pytest.mark.parametrize("kind", ["NDJSON", "CSV"])
async def test_an_export_of_all_holds_a_page(
    full: psycopg.Connection, harness: Harness, postgres_url: str, kind: str
) -> None:
    """It goes on where the time that an export may take ends, as a client does."""
    service = Service(harness, postgres_url, PREFIX, {"WEFT_SANDBOX_FOR_LIVE": "true"})
    async with service.running() as process:
        assert service.channel
        orders = order_service_pb2_grpc.OrderServiceStub(service.channel)
        memory, count, begun = [rss(process.pid)], 0, time.monotonic()
        after, whole, size, parts = "", False, 0, 0
        while not whole and count < EXPORTED:
            request = export_pb2.ExportOrdersRequest(format=f"EXPORT_FORMAT_{kind}", after_order_id=after)  # type: ignore[arg-type]
            token = harness.issuer.operator(ids.new("usr"), SCOPES)
            parts += 1
            try:
                async for message in orders.ExportOrders(request, metadata=metadata(token)):
                    size += len(message.data)
                    rows = message.data.splitlines()
                    found = [key for row in rows if (key := key_of(row))]
                    whole = bool(rows) and rows[-1].startswith((b'{"end"', b"#end"))
                    if found:
                        after, count = found[-1], count + len(set(found))
                        if count // 20_000 >= len(memory):
                            memory.append(rss(process.pid))
                    if count >= EXPORTED:
                        break
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
        took = time.monotonic() - begun
        print(
            f"\n{kind}: {count:,} orders in {parts} parts, {size / 1e6:.0f} MB, {took:.0f} s, {count / took:.0f} orders/s; "
            f"resident MB: {[round(m) for m in memory]}"
        )
        assert count >= min(EXPORTED, ORDERS)
        warm = max(memory[:3])
        assert max(memory) < warm + 15, "flat: it grows no more once the first pages were written"


def key_of(row: bytes) -> str:
    """The id of the order in a line of a file; empty for others."""
    found = _FIRST.match(row)
    return found[1].decode() if found else ""


def rss(pid: int) -> float:
    """Resident megabytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
