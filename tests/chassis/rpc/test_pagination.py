"""Pages end by count and by bytes, and every row is on exactly one of them."""

from dataclasses import dataclass

import pytest
from google.protobuf import json_format
from weft.order.v1 import order_pb2, order_service_pb2

from chassis import errors
from chassis.rpc import pagination
from chassis.rpc.pagination import Pages

WHOLE_LINES = [
    order_pb2.OrderLine(product_id="prd_" + "7" * 26, title="<" * 200, quantity=1000, unit_price={"currency": "EUR"})
] * 100


@dataclass(frozen=True)
class Row:
    id: str
    size: int


def order(row: Row) -> order_pb2.Order:
    return order_pb2.Order(order_id=row.id, lines=WHOLE_LINES[: row.size])


def read(rows: list[Row], size: int) -> list[list[order_pb2.Order]]:
    """Every page of a list, by its tokens."""
    kept, found, token = Pages(b"k" * 32), [], ""
    while True:
        request = order_service_pb2.ListOrdersRequest(page_size=size, page_token=token)
        page = kept.read(request, {"list": "orders"})
        looked = [row for row in rows if row.id > page.after][: page.limit]
        shown, token = kept.split(page, looked, order, key="id")
        found.append(shown)
        if not token:
            return found


@pytest.mark.parametrize(("count", "expected"), [(0, [0]), (2, [2]), (3, [2, 1]), (4, [2, 2])])
def test_pages_end_by_count(count: int, expected: list[int]) -> None:
    assert [len(page) for page in read([Row(f"{n:04}", 1) for n in range(count)], 2)] == expected


def test_large_orders_come_in_pages_that_clients_and_the_edge_take() -> None:
    rows = [Row(f"{n:04}", 100 if n % 3 else 0) for n in range(200)]
    found = read(rows, 1000)
    assert [made.order_id for page in found for made in page] == [row.id for row in rows]
    assert len(found) > 3
    for page in found:
        reply = order_service_pb2.ListOrdersResponse(orders=page, next_page_token="t" * 100)
        assert reply.ByteSize() < 3 * 1024 * 1024
        # Envoy writes `<` as six bytes, and every field.
        text = json_format.MessageToJson(reply, always_print_fields_with_no_presence=True, indent=None)
        assert len(text) + 5 * text.count("<") < 8 * 1024 * 1024


def test_an_item_that_is_larger_than_a_page_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "MAX_PAGE_BYTES", 1_000)
    assert [len(page) for page in read([Row("a", 50), Row("b", 50), Row("c", 0), Row("d", 0)], 10)] == [1, 1, 2]


def test_a_token_of_another_query_or_another_key_is_refused() -> None:
    kept = Pages(b"k" * 32)
    first = kept.read(order_service_pb2.ListOrdersRequest(page_size=1), {"owner": "ann"})
    _, token = kept.split(first, [Row("a", 0), Row("b", 0)], order, key="id")
    request = order_service_pb2.ListOrdersRequest(page_size=1, page_token=token)
    assert kept.read(request, {"owner": "ann"}).after == "a"
    for other, query in ((kept, {"owner": "bob"}), (Pages(b"l" * 32), {"owner": "ann"})):
        with pytest.raises(errors.PageTokenInvalid):
            other.read(request, query)
