"""Every command of docs/partners.md, run as the operator would."""

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

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[3]
COMMANDS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "partners.md").read_text(), re.DOTALL)


@pytest.fixture
def shell(mesh: dict[str, Any], tmp_path: Path) -> dict[str, str]:
    """The environment of the page's commands; with the tests' own curl where the machine has none."""
    if shutil.which("curl") is None:
        (tmp_path / "curl").write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/e2e/documents/curl.py" "$@"\n'
        )
        (tmp_path / "curl").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "EDGE": mesh["edge"],
        "OPERATOR_EMAIL": mesh["operator"]["email"],
        "OPERATOR_PASSWORD": mesh["operator"]["password"],
        "REFERENCE": f"r-{secrets.token_hex(6)}",
    }


def run(command: str, shell: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(["bash", "-euc", command], env=shell, capture_output=True, text=True, check=True, timeout=60)
    reply: dict[str, Any] = json.loads(done.stdout or "{}")
    return reply


def test_a_partner_is_set_up_changed_and_stopped(shell: dict[str, str]) -> None:
    sign_in, partner, client, token, app, known, ask, redirects, invite, people, *later = COMMANDS
    clients, usage, rotate, plan, suspend, reinstate, revoke = later
    shell["TOKEN"] = run(sign_in, shell)["accessToken"]
    made = run(partner, shell)
    assert run(partner, shell) == made  # the same key, the same answer
    shell["PARTNER_ID"] = made["partnerId"]
    shown = run(client, shell)
    shell["CLIENT_ID"], shell["CLIENT_SECRET"] = shown["clientId"], shown["secret"]
    assert run(token, shell)["token_type"] == "Bearer"
    public = run(app, shell)
    shell["APP_ID"] = public["clientId"]
    assert public["secret"] == ""
    assert run(known, shell)["issuer"] == shell["EDGE"]
    assert run(ask, shell)["client_name"] == "Phone"
    assert run(redirects, shell)["redirectUris"] == ["https://books.example/callback"]
    assert run(invite, shell) == {}
    assert run(people, shell) == {"members": [], "nextPageToken": ""}
    other, listed = run(clients, shell)["clients"]
    assert other["clientId"] == public["clientId"]
    assert (listed["clientId"], listed.get("secret", "")) == (shown["clientId"], "")

    assert "usage" in run(usage, shell)
    renewed = run(rotate, shell)["secret"]
    assert renewed != shown["secret"]
    for secret in (shown["secret"], renewed):
        assert run(token, {**shell, "CLIENT_SECRET": secret})["token_type"] == "Bearer"
    assert run(plan, shell)["plan"] == "PLAN_PREMIUM"

    assert run(suspend, shell)["state"] == "PARTNER_STATE_SUSPENDED"
    assert run(token, shell)["error"] == "unauthorized_client"
    assert run(reinstate, shell)["state"] == "PARTNER_STATE_ACTIVE"
    assert run(token, shell)["token_type"] == "Bearer"
    assert run(revoke, shell) == {}
    assert run(token, shell)["error"] == "invalid_client"
