"""What a service's process holds opens nothing of another service's."""

import json
from typing import Any

import psutil
import psycopg
import pytest

pytestmark = pytest.mark.e2e


def _environment(mesh: dict[str, Any], service: str) -> dict[str, str]:
    return psutil.Process(mesh["pids"][service][0]).environ()


def test_no_service_holds_what_another_one_holds(mesh: dict[str, Any]) -> None:
    names = ("WEFT_DATABASE_URL", "WEFT_DATA_KEYS", "WEFT_TLS_KEY")
    held = {service: [_environment(mesh, service)[name] for name in names] for service in mesh["services"]}
    for secrets in zip(*held.values(), strict=True):
        assert len(set(secrets)) == len(held)
    keys = [key for found in held.values() for key in json.loads(found[1]).values()]
    assert len(set(keys)) == len(held)


def test_the_order_service_reads_no_account_and_makes_no_table(mesh: dict[str, Any]) -> None:
    url = _environment(mesh, "order")["WEFT_DATABASE_URL"]
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url, dbname="weft_user")
    with (
        psycopg.connect(url, dbname="weft_order") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE mine (id int)")


def test_no_replica_holds_what_only_the_first_start_needs(mesh: dict[str, Any]) -> None:
    for service in mesh["services"]:
        found = _environment(mesh, service)
        assert {"WEFT_OPERATOR_PASSWORD", "WEFT_PARTNER_CLIENT_SECRET", "WEFT_SERVING_ROLE"} & set(found) == set()


def test_passwords_are_hashed_at_the_full_cost(mesh: dict[str, Any]) -> None:
    """The tests' own process hashes for a hundredth of it."""
    with psycopg.connect(_environment(mesh, "user")["WEFT_DATABASE_URL"], dbname="weft_user") as connection:
        rows = connection.execute("SELECT password_hash FROM users WHERE password_hash IS NOT NULL").fetchall()
    assert rows
    assert all(row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$") for row in rows)
