"""Every command of docs/getting-started.md, run as a partner would."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers import wait_until

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[3]
COMMANDS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "getting-started.md").read_text(), re.DOTALL)


@pytest.fixture(params=["curl", "stand-in"])
def shell(request: pytest.FixtureRequest, mesh: dict[str, Any], tmp_path: Path) -> dict[str, str]:
    """The environment of the page's commands: with the machine's curl where it has one, and with the tests' own."""
    if request.param == "stand-in" or shutil.which("curl") is None:
        (tmp_path / "curl").write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/e2e/documents/curl.py" "$@"\n'
        )
        (tmp_path / "curl").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "EDGE": mesh["edge"],
        "CLIENT_ID": mesh["partner"]["client_id"],
        "CLIENT_SECRET": mesh["partner"]["client_secret"],
        "REFERENCE": f"r-{secrets.token_hex(6)}",
    }


def _run(command: str, shell: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(["bash", "-euc", command], env=shell, capture_output=True, text=True, check=True, timeout=60)
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply


def test_a_partner_gets_from_a_client_id_to_a_paid_order(shell: dict[str, str]) -> None:
    token, customer, product, order, paid, error = COMMANDS
    shell["TOKEN"] = _run(token, shell)["access_token"]
    shell["CUSTOMER_ID"] = _run(customer, shell)["userId"]
    products = _run(product, shell)["products"]
    shell["PRODUCT_ID"] = next(p["productId"] for p in products if p["active"] and int(p["stock"]))
    placed = _run(order, shell)
    assert placed["state"] == "ORDER_STATE_PENDING"
    assert _run(order, shell) == placed  # the same key, the same answer
    shell["ORDER_ID"] = placed["orderId"]

    def is_paid() -> bool:
        found = _run(paid, shell)
        return (found["state"], found["paymentState"]) == ("ORDER_STATE_CONFIRMED", "PAYMENT_STATE_CAPTURED")

    wait_until(is_paid, "the order is paid", 60)
    refused = _run(error, shell)
    (info,) = [detail for detail in refused["details"] if detail["@type"].endswith("ErrorInfo")]
    assert (refused["code"], info["reason"]) == (5, "ORDER_NOT_FOUND")
