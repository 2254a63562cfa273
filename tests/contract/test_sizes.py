"""How large a request may be: from the bounds, for the edge's body limits and the server's."""

import json

import pytest

from services.chassis import contract as contracts
from services.chassis import sizes
from services.chassis.contract import Method
from tests.contract.compiled import contract
from tests.contract.test_nonsense import ROUTE, SENSE, service

CONTRACT = contracts.load()
every_method = pytest.mark.parametrize("method", CONTRACT.methods, ids=lambda method: method.full_name)


def bound(fields: str, more: str = "") -> int:
    """The largest body of an RPC whose request has these fields."""
    text = service(SENSE, ROUTE).replace("message TryRequest {}", f"message TryRequest {{ {fields} }} {more}")
    read = contract(text)
    return sizes.largest_body(read.methods[0], read)


@every_method
def test_the_bounds_of_a_request_from_outside_stay_below_the_cap(method: Method) -> None:
    if not method.internal:
        assert sizes.largest_body(method, CONTRACT) < sizes.MAX_BODY


def test_the_largest_order_fits_with_each_character_escaped_and_indented() -> None:
    line = {"productId": "prd_" + "7" * 26, "quantity": 1000}
    order = {
        "customerId": "usr_" + "7" * 26,
        "lines": [line] * 100,
        "paymentMethod": "pm_" + "a" * 96,
        "externalReference": "😀" * 100,
        "note": "😀" * 500,
    }
    most = sizes.largest_body(CONTRACT.by_path["/weft.order.v1.OrderService/CreateOrder"], CONTRACT)
    assert len(json.dumps(order, indent=4)) < most < 64 * 1024


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", 5120),
        ("string a = 1 [(buf.validate.field).string.max_len = 1000];", 16384),
        ('string a = 1 [(buf.validate.field).string.pattern = "^[a-z]{1000}$"];', 10240),
        ("bytes a = 1 [(buf.validate.field).bytes.max_len = 1000];", 16384),
        ("repeated int32 a = 1 [(buf.validate.field).repeated.max_items = 100];", 9216),
        ("repeated Part a = 1 [(buf.validate.field).repeated.max_items = 100];", 9216),
        (
            "map<int32, bool> a = 1 [(buf.validate.field).map.max_pairs = 100];",
            13312,
        ),
    ],
)
def test_each_kind_of_field_counts_at_its_bound(fields: str, expected: int) -> None:
    assert bound(fields, "message Part { int32 n = 1; }") == expected


@pytest.mark.parametrize(
    "fields",
    [
        "string a = 1;",
        'string a = 1 [(buf.validate.field).string.pattern = "^[a-z]+$"];',
        'string a = 1 [(buf.validate.field).string.pattern = "[a-z]"];',
        "bytes a = 1;",
        "repeated int32 a = 1;",
        "map<int32, bool> a = 1;",
        "TryRequest again = 1;",
    ],
)
def test_what_has_no_bound_counts_as_the_cap(fields: str) -> None:
    assert bound(fields) == sizes.MAX_BODY
