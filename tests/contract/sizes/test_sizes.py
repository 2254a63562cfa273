"""How large a request may be: from the bounds, for the edge's body limits and the server's."""

import json

import pytest

import contract as contracts
from contract import Method, sizes
from contract.checks import requests
from tests.contract.compiled import contract
from tests.contract.policies.samples import POLICY, ROUTE, service

CONTRACT = contracts.load()
MASK = "google.protobuf.FieldMask update_mask = 2;"
every_method = pytest.mark.parametrize("method", CONTRACT.methods, ids=lambda method: method.full_name)


def asking(fields: str, more: str = "") -> contracts.Contract:
    """A contract of one RPC whose request has these fields."""
    return contract(
        service(POLICY, ROUTE).replace("message TryRequest {}", f"message TryRequest {{ {fields} }} {more}")
    )


def bound(fields: str, more: str = "") -> int:
    """The largest body of an RPC whose request has these fields."""
    read = asking(fields, more)
    return sizes.largest_body(read.methods[0], read)


def bounds(read: contracts.Contract) -> list[str]:
    """What the check of requests says."""
    return list(requests.faults(read))


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
        "metadata": {f"{n:040}": "😀" * 500 for n in range(20)},
    }
    most = sizes.largest_body(CONTRACT.by_path["/weft.order.v1.OrderService/CreateOrder"], CONTRACT)
    assert len(json.dumps(order, indent=4)) < most < 192 * 1024


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


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("string a = 1;", "a has no upper bound: write `(buf.validate.field).string.max_len = 100`."),
        ("bytes a = 1;", "a has no upper bound: write `(buf.validate.field).bytes.max_len = 100`."),
        ("repeated int32 a = 1;", "a has no upper bound: write `(buf.validate.field).repeated.max_items = 100`."),
        (
            "repeated string a = 1 [(buf.validate.field).repeated.max_items = 9];",
            "a has no upper bound: write `(buf.validate.field).repeated.items.string.max_len = 100`.",
        ),
        ("map<int32, bool> a = 1;", "a has no upper bound: write `(buf.validate.field).map.max_pairs = 100`."),
        (
            "map<string, bool> a = 1 [(buf.validate.field).map.max_pairs = 9];",
            "a has no upper bound: write `(buf.validate.field).map.keys.string.max_len = 100`.",
        ),
        ("google.protobuf.Any a = 1;", "a has no upper bound: write `(weft.api.v1.max_bytes) = 8192`."),
        (
            'string a = 1 [(buf.validate.field).string.pattern = "^[a-z]{9}$"];',
            'a has a pattern and no words for it: write `(weft.api.v1.format) = "eight digits"`, to complete "must be …" '
            "for callers.",
        ),
    ],
)
def test_a_field_without_a_bound_is_refused_with_what_to_write(fields: str, sentence: str) -> None:
    assert bounds(asking(fields)) == [f"weft.lab.v1.TryRequest.{sentence}"]


def test_every_fault_is_told_at_any_depth() -> None:
    found = bounds(asking("string a = 1; Part b = 2; bytes c = 3;", "message Part { string d = 1; }"))
    assert [sentence.partition(" ")[0].rpartition("v1.")[2] for sentence in found] == [
        "TryRequest.a",
        "Part.d",
        "TryRequest.c",
    ]


def test_a_request_within_itself_and_one_that_is_too_large_are_refused() -> None:
    (within,) = bounds(asking("Part a = 1;", "message Part { Part inner = 1; }"))
    assert within.startswith("weft.lab.v1.Part contains itself: ")
    (large,) = bounds(asking("string a = 1 [(buf.validate.field).string.max_len = 100000];"))
    assert large.startswith("weft.lab.v1.LabService.Try: the bounds of its request add up to 1,204,224 bytes")


def test_a_field_that_an_update_takes_has_presence() -> None:
    part = "message Part { string try_id = 1 [(buf.validate.field).string.max_len = 9]; bool active = 2; optional bool on = 3; }"
    route = 'option (google.api.http) = {patch: "/v1/tries/{part.try_id}" body: "part"};'
    text = service(POLICY, route).replace(
        "message TryRequest {}", f"message TryRequest {{ Part part = 1; {MASK} }} {part}"
    )
    assert bounds(contract(text)) == [
        "weft.lab.v1.Part.try_id can be updated and has no presence: write `optional`, or OUTPUT_ONLY.",
        "weft.lab.v1.Part.active can be updated and has no presence: write `optional`, or OUTPUT_ONLY.",
    ]
