"""Exports: complete, of the caller's orders only, safe in a spreadsheet, and no larger in memory than a page."""

import asyncio
import csv
import io
import json
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from weft.order.v1 import export_pb2, order_pb2, product_service_pb2
from weft.order.v1.shipping_address_pb2 import ShippingAddress

from chassis import ids
from chassis.storage.database import Query
from services.order.exports import handlers
from services.order.orders.repository import OrderRepository
from tests.harness import Harness, assert_refused
from tests.order.shop import Shop, metadata

CSV = export_pb2.EXPORT_FORMAT_CSV
FILL = Query(
    """
WITH made AS (
  INSERT INTO orders (order_id, customer_id, partner_id, currency, total_minor, state, payment_id, payment_state,
                      external_reference, note, created_at, updated_at)
  SELECT overlay(%(first)s::text placing lpad(n::text, 6, '0') from 25 for 6), %(customer)s, '', 'EUR', 1, 'CONFIRMED',
         'pay_' || n, 'CAPTURED', '', repeat('n', 500), now(), now() FROM generate_series(1, %(count)s) n RETURNING order_id)
INSERT INTO order_lines (order_id, line, product_id, title, quantity, unit_price_minor)
SELECT order_id, line, 'prd_' || line, 'Ink', 1, 1 FROM made, generate_series(1, 2) line
"""
)


def export(shop: Shop, token: str = "", **filters: Any):
    request = export_pb2.ExportOrdersRequest(**filters)
    return shop.orders.ExportOrders(request, metadata=metadata(token or shop.user))


async def whole(stream) -> bytes:
    """What an export has before its last line, which says that it is whole."""
    *lines, last = b"".join([message.data async for message in stream]).splitlines(keepends=True)
    assert last.startswith((b'{"end": {"orders": ', b"#end,"))
    return b"".join(lines)


async def test_an_export_has_every_order_of_the_caller_once_newest_first_and_holds_a_page(quiet_shop: Shop) -> None:
    count = 5_000
    await quiet_shop.database.run(FILL, first=ids.new("ord"), customer=quiet_shop.user_id, count=count)
    await quiet_shop.order((await quiet_shop.product(), 1), token=quiet_shop.issuer.user(ids.new("usr")))
    largest, found = 0, []
    async for message in export(quiet_shop):
        largest = max(largest, len(message.data))
        found += [json.loads(line) for line in message.data.splitlines()]
    assert found.pop() == {"end": {"orders": count}}
    found = [order["orderId"] for order in found]
    assert len(found) == len(set(found)) == count
    assert found == sorted(found, reverse=True)
    assert largest < handlers.ORDERS_PER_MESSAGE * 2_500
    middle = found[count // 2]
    rest = [
        json.loads(line)["orderId"] for line in (await whole(export(quiet_shop, after_order_id=middle))).splitlines()
    ]
    assert rest == found[count // 2 + 1 :]


ROWS = 12_000


async def test_pages_that_a_reader_does_not_take_are_not_read(
    quiet_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an export takes as much memory as what is on its way, whatever its length."""
    await quiet_shop.database.run(FILL, first=ids.new("ord"), customer=quiet_shop.user_id, count=ROWS)
    pages, read = [], OrderRepository.list

    async def counted(self: OrderRepository, *arguments: Any) -> Any:
        pages.append(arguments)
        return await read(self, *arguments)

    monkeypatch.setattr(OrderRepository, "list", counted)
    stream = export(quiet_shop)
    await anext(aiter(stream))
    await anext(aiter(stream))
    before = -1
    while before < len(pages):  # until it stands still
        before = len(pages)
        for _ in range(20):
            await quiet_shop.products.ListProducts(product_service_pb2.ListProductsRequest())
    assert before < ROWS / handlers.PAGE_SIZE * 0.8  # what the sockets take is on its way: some megabytes
    assert len((await whole(stream)).splitlines()) == ROWS - handlers.ORDERS_PER_MESSAGE


async def test_lines_are_orders_as_they_are_read_and_filters_are_those_of_the_list(quiet_shop: Shop) -> None:
    ink = await quiet_shop.product()
    first, second = await quiet_shop.order((ink, 2), external_reference="a"), await quiet_shop.order((ink, 1))
    await quiet_shop.cancel(second.order_id)
    lines = (await whole(export(quiet_shop, external_reference="a"))).splitlines()
    assert [json_format.Parse(line, order_pb2.Order()) for line in lines] == [await quiet_shop.get(first.order_id)]
    assert json.loads(lines[0])["reason"] == "", "empty values are there, too"
    for filters, expected in (
        ({"states": [order_pb2.ORDER_STATE_CANCELLED]}, [second]),
        ({"states": [order_pb2.ORDER_STATE_PENDING]}, [first]),
        ({"customer_id": "me"}, [second, first]),
        ({"order_number": first.order_number.lower()}, [first]),
        ({"customer_id": ids.new("usr")}, []),
    ):
        found = (await whole(export(quiet_shop, **filters))).splitlines()
        assert [json.loads(line)["orderId"] for line in found] == [order.order_id for order in expected], filters


async def test_a_cell_of_csv_is_never_a_formula(quiet_shop: Shop) -> None:
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", 'a,"b"\n=c']
    expected = ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "'\r=1", 'a,"b"\n=c']
    inks = [await quiet_shop.product(title=title) for title in evil]
    sent = ShippingAddress(recipient="=1", lines=["-1", "2"], locality="@Wien", region_code="AT", postal_code="+1")
    own = {"-basket": "=7", "a": "ü"}
    placed = await quiet_shop.order(
        *((ink, 1) for ink in inks),
        note='=HYPERLINK("http://evil")',
        external_reference="@x",
        shipping_address=sent,
        metadata=own,
    )
    stream = export(quiet_shop, format=CSV)
    begun = await anext(aiter(stream))
    assert begun.content_type == "text/csv; charset=utf-8; header=present"
    text = (begun.data + await whole(stream)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["title"] for row in rows] == expected
    assert [row["product_id"] for row in rows] == [line.product_id for line in placed.lines]
    told = ("order_id", "order_number", "note", "external_reference", "state")
    assert {tuple(row[name] for name in told) for row in rows} == {
        (placed.order_id, placed.order_number, '\'=HYPERLINK("http://evil")', "'@x", "PENDING")
    }
    assert (rows[0]["total_minor"], rows[0]["currency"], rows[0]["unit_price_minor"]) == ("7000", "EUR", "1000")
    assert [json.loads(row["metadata"]) for row in rows] == [own] * len(rows)
    where = ("recipient", "address_lines", "locality", "administrative_area", "postal_code", "region_code")
    assert [rows[6][name] for name in where] == ["'=1", "'-1\n2", "'@Wien", "", "'+1", "AT"]


async def test_an_export_that_ends_early_says_so_in_its_last_line_and_in_its_status(harness: Harness) -> None:
    async with harness.running("order", work=False) as running:
        shop = Shop(running, harness.issuer)
        await shop.database.run(FILL, first=ids.new("ord"), customer=shop.user_id, count=5_000)
        streams = [export(shop), export(shop, format=CSV)]
        for stream in streams:
            await anext(aiter(stream))
            await anext(aiter(stream))
        stopped = asyncio.create_task(running.app.stop())
        ends = await asyncio.gather(*(last_line(stream) for stream in streams))
        await stopped
    assert json.loads(ends[0])["error"]["code"] == grpc.StatusCode.UNAVAILABLE.value[0]
    assert ends[1].startswith(b"#error,UNAVAILABLE,")


async def last_line(stream: Any) -> bytes:
    """Of an export that fails."""
    last = b""

    async def read() -> None:
        nonlocal last
        async for message in stream:
            last = message.data.splitlines()[-1]

    await assert_refused(read(), "SERVICE_UNAVAILABLE")
    return last
