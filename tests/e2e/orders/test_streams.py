"""Streams through the edge end by themselves, with their last message, before the time that their caller gave."""

import csv
import json
import uuid
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.e2e


def test_a_stream_over_rest_takes_its_leave_before_its_callers_deadline(mesh: dict[str, Any]) -> None:
    asked = {"grant_type": "client_credentials", **mesh["partner"]}
    token = httpx.post(f"{mesh['edge']}/oauth2/token", data=asked, timeout=30).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "grpc-timeout": "2S"}
    with httpx.stream("GET", f"{mesh['edge']}/v1/orders:watch", headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        messages = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert messages[0]["cursor"]
    assert messages[-1]["cursor"] == messages[-2]["cursor"]
    assert messages[-1]["error"]["message"] == "The stream ends here; resume from its last cursor."


def test_an_export_over_rest_is_a_file_of_the_callers_orders(scenario, customer) -> None:
    product = {"title": "=1+1", "price": {"amountMinor": "100", "currency": "EUR"}, "stock": "9"}
    partner = scenario.partner_token()
    made = scenario.call("POST", "/v1/products", product, partner, key=str(uuid.uuid4()), expect=201).json()
    placed = [scenario.place_order(customer, made, quantity=1).order["orderId"] for _ in range(2)]
    headers = {"authorization": f"Bearer {customer.token}"}
    with httpx.Client(base_url=scenario.mesh["edge"], headers=headers, timeout=30) as client:
        lines = client.get("/v1/orders:export")
        assert (lines.status_code, lines.headers["content-type"]) == (200, "application/x-ndjson")
        *found, last = map(json.loads, lines.text.splitlines())
        assert ([order["orderId"] for order in found], last) == (placed[::-1], {"end": {"orders": 2}})
        table = client.get("/v1/orders:export", params={"format": "EXPORT_FORMAT_CSV"})
        assert table.headers["content-type"].startswith("text/csv")
        *rows, end = csv.DictReader(table.text.splitlines())
        assert (end["order_id"], end["create_time"]) == ("#end", "2")
        assert [(row["order_id"], row["title"]) for row in rows] == [(order, "'=1+1") for order in placed[::-1]]
        refused = client.get("/v1/orders:export", params={"states": "NONE"})
        assert (refused.status_code, refused.headers["content-type"]) == (400, "application/json")
        assert client.get("/v1/orders:export", headers={"authorization": ""}).status_code == 401
