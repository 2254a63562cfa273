"""The verifier against the documented vectors, and a library of the standard against the same."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import standardwebhooks.webhooks as standard
from weft_client import webhooks

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "webhook-vectors.json").read_text())
VALID = VECTORS[1]
KEY = "A" * 43 + "="


def headers_of(vector: dict[str, Any]) -> dict[str, str]:
    return {name: vector[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}


def verify(vector: dict[str, Any], **more: Any) -> Any:
    at = more or {"now": float(vector["webhook-timestamp"])}
    return webhooks.verify(vector["body"].encode(), headers_of(vector), vector["secret"], **at)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_verifies_or_not_here_and_in_the_standards_library(vector: dict[str, Any]) -> None:
    moment = datetime.fromtimestamp(int(vector["webhook-timestamp"]), UTC)
    with mock.patch.object(standard, "datetime", wraps=datetime) as time:  # it has no parameter for the time
        time.now.return_value = moment
        judge = standard.Webhook(vector["secret"])
        if vector["valid"]:
            assert verify(vector) == judge.verify(vector["body"], headers_of(vector)) == json.loads(vector["body"])
            return
        with pytest.raises(standard.WebhookVerificationError):
            judge.verify(vector["body"], headers_of(vector))
    with pytest.raises(webhooks.WebhookInvalid):
        verify(vector)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook-id": ""}, {"webhook-timestamp": ""}, {"webhook-timestamp": "-5"}, {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "١٨٠٠٠٠٠٠٠٠"}, {"webhook-timestamp": "9" * 400}, {"webhook-signature": "v1,é"},
        {"webhook-signature": "v1,\udce9"}, {"webhook-id": "evt_\udce9"},
        {"webhook-signature": "v1, "}, {"webhook-signature": "v1"}, {"webhook-signature": "v1,AAAA " * 20 + VALID["webhook-signature"]},
    ],
    ids=str,
)  # fmt: skip
def test_headers_of_any_kind_are_refused_by_name(wrong: dict[str, str]) -> None:
    with pytest.raises(webhooks.WebhookInvalid):
        verify({**VALID, **wrong}, now=1_800_000_000)


@pytest.mark.parametrize("off", [-301.0, 301.0])
def test_a_timestamp_may_be_five_minutes_off(off: float) -> None:
    at = float(VALID["webhook-timestamp"])
    assert verify(VALID, now=at + off * 0.99)
    with pytest.raises(webhooks.WebhookInvalid, match="too old or too new"):
        verify(VALID, now=at + off)
    assert verify(VALID, now=at + off, tolerance=400)


def test_headers_in_any_case_and_a_body_as_text() -> None:
    headers = {name.title(): value for name, value in headers_of(VALID).items()}
    assert webhooks.verify(VALID["body"], headers, VALID["secret"], now=1_800_000_000)["type"] == "order.placed"


def test_a_signed_body_that_is_not_json_is_refused() -> None:
    headers = webhooks.sign(b"\xff", "evt_1", 1_800_000_000, "whsec_" + KEY)
    with pytest.raises(webhooks.WebhookInvalid, match="not JSON"):
        webhooks.verify(b"\xff", headers, "whsec_" + KEY, now=1_800_000_000)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_AAAA", "whsec_" + "A" * 88 + "AAA=", "whsec_é", "whsec_!" + KEY]
)
def test_a_secret_that_is_none_is_a_mistake_of_the_program(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes") as found:
        verify({**VALID, "secret": secret})
    assert not isinstance(found.value, webhooks.WebhookInvalid)
