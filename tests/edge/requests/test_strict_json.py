"""Strict JSON: what passes, and that it means the same to the service."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.edge import protocols
from tests.edge.conftest import Edge

LINE = {"productId": "prd_1", "quantity": 1}


@pytest.mark.parametrize(
    ("body", "customer", "quantities"),
    [
        ({}, "", []),
        ({"customerId": "me", "lines": [LINE]}, "me", [1]),
        ({"customer_id": "me", "lines": [{"product_id": "p", "quantity": "2"}, LINE]}, "me", [2, 1]),
        ({"customerId": "", "lines": []}, "", []),
        ({"note": 'a "quoted" \\ text\n\u00e9\u20ac {[,:]}', "customerId": "x"}, "x", []),
        ({"lines": [{"quantity": 3.0}]}, "", [3]),
    ],
    ids=["empty", "JSON names", "proto names and numbers as text", "nothing", "a text full of marks", "a whole float"],
)
def test_a_body_within_the_contract_passes(
    body: dict[str, Any], customer: str, quantities: list[int], edge: Edge
) -> None:
    response = edge.call("POST", "/v1/orders", json=body)
    assert response.status_code == 201, response.text
    request: Any = edge.upstream.last[1]
    assert (request.customer_id, [line.quantity for line in request.lines]) == (customer, quantities)
    assert request.note == (body.get("note") or "")


@pytest.mark.parametrize(
    "text", ["{ }", '\n{\t"note" : "x" , "lines":[ ] }\r\n', '{"\\u006eote":"x"}', '{"note":"\\u0041"}']
)
def test_how_json_is_written_does_not_matter(text: str, edge: Edge) -> None:
    response = edge.call(
        "POST", "/v1/orders", content=text, headers={"content-type": "application/json; charset=utf-8"}
    )
    assert response.status_code == 201, response.text


@pytest.mark.parametrize(
    "text",
    ['{"note":}', '{"note" "x"}', '{"note":"x",}', '{note:"x"}', "{'note':'x'}", '{"note":"x"', '{"note":"\n"}', '{"lines":[,]}',
     '{"lines":[{}', "{} x", "nul", '{"note":01x}', '{"note":"x"}}', "[", "", " ", '{"lines":[1 2]}'],
)  # fmt: skip
def test_what_is_no_json_is_malformed(text: str, edge: Edge) -> None:
    response = edge.call("POST", "/v1/orders", content=text, headers={"content-type": "application/json"})
    if text == "":
        assert response.status_code == 201  # no body: all fields are absent
        return
    assert protocols.reason_of(response) == "JSON_MALFORMED"


NAMES = st.sampled_from(["note", "customerId", "lines", "quantity", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=6,
)


def broken(text: str, at: float, mark: str, how: int) -> str:
    """The text with a mark put in, a character replaced, or its end cut off."""
    place = int(at * len(text))
    return [text[:place] + mark + text[place:], text[:place] + mark + text[place + 1 :], text[:place]][how]


def is_json(text: str) -> bool:
    """Whether it is JSON by RFC 8259, which knows no NaN."""
    try:
        json.loads(text, parse_constant=int)
    except ValueError:
        return False
    return True


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.dictionaries(NAMES, VALUES),
    at=st.floats(0, 1, exclude_max=True),
    mark=st.sampled_from([*'{}[]",:\\0-.e ', "\x01", "é", "nul", "00"]),
    how=st.integers(0, 2),
)
def test_what_passes_is_json(value: Any, at: float, mark: str, how: int, edge: Edge) -> None:
    text = broken(json.dumps(value), at, mark, how)
    response = edge.call("POST", "/v1/orders", content=text.encode(), headers={"content-type": "application/json"})
    if response.status_code == 201:
        assert text == "" or is_json(text)
    else:
        assert protocols.reason_of(response) in ("JSON_MALFORMED", "UNKNOWN_FIELD")


def test_every_misspelt_field_of_every_depth_is_named(edge: Edge) -> None:
    for path, body in (
        ("quantitty", {"quantitty": 1}),
        ("lines[0].sku", {"lines": [{"sku": 1}]}),
        ("lines[2].Quantity", {"lines": [LINE, LINE, {**LINE, "Quantity": 1}]}),
        ("no te", {"no te": 1}),
        ("na??ve", {"naïve": 1}),
        ('quo"te', {'quo"te': 1}),
    ):
        response = edge.call("POST", "/v1/orders", json=body)
        protocols.assert_refusal(response, "UNKNOWN_FIELD", violations={path: ""}, field=path)


def test_queries_are_read_as_the_transcoder_reads_them(edge: Edge) -> None:
    path = "/v1/orders?page_size=2&states=ORDER_STATE_PENDING&states=2&customerId=m%65&create_time_from=2026-01-31T12:00:00Z"
    response = edge.call("GET", f"{path}&externalReference=a+b%26c&")
    assert response.status_code == 200, response.text
    request: Any = edge.upstream.last[1]
    assert (request.page_size, list(request.states), request.customer_id) == (2, [1, 2], "me")
    assert (request.external_reference, request.create_time_from.ToJsonString()) == ("a b&c", "2026-01-31T12:00:00Z")


def test_a_wrong_name_of_an_enum_is_answered_with_those_that_there_are(edge: Edge) -> None:
    response = edge.call("GET", "/v1/payments?states=PAID")
    refusal = protocols.assert_refusal(response, "REQUEST_INVALID", violations={"states": ""})
    names = [f"PAYMENT_STATE_{name}" for name in ("PENDING", "CAPTURED", "PARTIALLY_REFUNDED", "PROCESSING")]
    assert all(name in refusal.message for name in names), refusal.message


def test_a_field_mask_and_a_timestamp_have_their_own_json(edge: Edge) -> None:
    body = {"title": "t", "createTime": "2026-01-31T12:00:00.5+01:00", "price": {"amountMinor": "5", "currency": "EUR"}}
    response = edge.call("PATCH", "/v1/products/prd_1?updateMask=title,price.amountMinor", json=body)
    assert response.status_code == 200, response.text
    request: Any = edge.upstream.last[1]
    assert list(request.update_mask.paths) == ["title", "price.amount_minor"]
    assert request.product.create_time.ToJsonString() == "2026-01-31T11:00:00.500Z"
    assert (request.product.product_id, request.product.price.amount_minor) == ("prd_1", 5)
    whole = edge.call("PATCH", "/v1/products/prd_1?updateMask=*", json={"title": "t"})
    assert (whole.status_code, list(edge.upstream.last[1].update_mask.paths)) == (200, ["*"])
    wrong = edge.call("PATCH", "/v1/products/prd_1", json={"createTime": "yesterday"})
    protocols.assert_refusal(wrong, "JSON_MALFORMED", violations={"createTime": ""})


def test_a_body_may_repeat_the_path_and_not_contradict_it(edge: Edge) -> None:
    same = edge.call("PATCH", "/v1/products/prd_1", json={"productId": "prd_1", "title": "t"})
    other = edge.call("PATCH", "/v1/products/prd_1", json={"product_id": "prd_2"})
    assert same.status_code == 200
    protocols.assert_refusal(other, "JSON_MALFORMED", violations={"product_id": ""})


def test_a_form_passes_untouched(edge: Edge) -> None:
    form = "grant_type=client_credentials&unknown=%7B%22&x"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert edge.call("POST", "/oauth2/token", content=form, headers=headers, token=None).status_code == 200
    request: Any = edge.upstream.last[1]
    assert (request.form.content_type, request.form.data.decode()) == (headers["content-type"], form)
