"""Pages end by count and by bytes, and every row is on exactly one of them."""

from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import json_format

from chassis import errors
from chassis.rpc import pagination
from chassis.rpc.pagination import OLDEST, Pages
from tests.chassis.probe import contract as pb

PARTS = [pb.Part(part_id="prt_" + "7" * 26, title="<" * 200, quantity=1000)] * 100


@dataclass(frozen=True)
class Row:
    id: str
    size: int


def item(row: Row) -> Any:
    return pb.Item(item_id=row.id, parts=PARTS[: row.size])


def read(rows: list[Row], size: int) -> list[list[Any]]:
    """Every page of a list, by its tokens."""
    kept, found, token = Pages(b"k" * 32), [], ""
    while True:
        request = pb.ListItemsRequest(page_size=size, page_token=token)
        page = kept.read(request, {"list": "items"}, start=OLDEST)
        looked = [row for row in rows if row.id > page.after][: page.limit]
        shown, token = kept.split(page, looked, item, key="id")
        found.append(shown)
        if not token:
            return found


@pytest.mark.parametrize(("count", "expected"), [(0, [0]), (2, [2]), (3, [2, 1]), (4, [2, 2])])
def test_pages_end_by_count(count: int, expected: list[int]) -> None:
    assert [len(page) for page in read([Row(f"{n:04}", 1) for n in range(count)], 2)] == expected


def test_large_items_come_in_pages_that_clients_and_the_edge_take() -> None:
    rows = [Row(f"{n:04}", 100 if n % 3 else 0) for n in range(200)]
    found = read(rows, 1000)
    assert [made.item_id for page in found for made in page] == [row.id for row in rows]
    assert len(found) > 3
    for page in found:
        reply = pb.ListItemsResponse(items=page, next_page_token="t" * 100)
        assert reply.ByteSize() < 3 * 1024 * 1024
        # Envoy writes `<` as six bytes, and every field.
        text = json_format.MessageToJson(reply, always_print_fields_with_no_presence=True, indent=None)
        assert len(text) + 5 * text.count("<") < 8 * 1024 * 1024


def test_an_item_that_is_larger_than_a_page_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "MAX_PAGE_BYTES", 1_000)
    assert [len(page) for page in read([Row("a", 50), Row("b", 50), Row("c", 0), Row("d", 0)], 10)] == [1, 1, 2]


def test_a_token_of_another_query_or_another_key_is_refused() -> None:
    kept = Pages(b"k" * 32)
    first = kept.read(pb.ListItemsRequest(page_size=1), {"owner": "ann"})
    _, token = kept.split(first, [Row("a", 0), Row("b", 0)], item, key="id")
    request = pb.ListItemsRequest(page_size=1, page_token=token)
    assert kept.read(request, {"owner": "ann"}).after == "a"
    for other, query in ((kept, {"owner": "bob"}), (Pages(b"l" * 32), {"owner": "ann"})):
        with pytest.raises(errors.PageTokenInvalid):
            other.read(request, query)
