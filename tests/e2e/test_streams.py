"""Streams through the edge end by themselves, with their last message, before the time that their caller gave."""

import json
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
    assert messages[-1]["error"]["message"] == "The stream ends here; resume from its last cursor."
