"""The commands of the services, as processes: what several run at once is done once."""

import asyncio
import json
import secrets
from collections.abc import Iterator

import psycopg
import pytest

from tests.forks import Host
from tests.harness import DATA_KEY


@pytest.fixture
def prefix(postgres_url: str) -> Iterator[str]:
    """Of databases that are not there yet."""
    prefix = f"t{secrets.token_hex(4)}"
    yield prefix
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        for service in ("user", "order", "notification"):
            connection.execute(f"DROP DATABASE IF EXISTS {prefix}_{service} WITH (FORCE)")


async def test_commands_that_run_at_once_end_well_and_leave_what_one_leaves(
    postgres_url: str, prefix: str, commands: Host
) -> None:
    environment = {
        "WEFT_DATABASE_URL": postgres_url,
        "WEFT_DATABASE_PREFIX": prefix,
        "WEFT_DATA_KEYS": json.dumps({"k1": DATA_KEY}),
        "WEFT_TLS": "off",
        "WEFT_ENVIRONMENT": "development",
        "WEFT_OPERATOR_EMAIL": "operator@example.com",
        "WEFT_OPERATOR_PASSWORD": "the operator's first word",
        "WEFT_PARTNER_CLIENT_ID": "cli_01k00000000000000000000000",
        "WEFT_PARTNER_CLIENT_SECRET": "the partner's first word",
    }
    services = ["user"] * 4 + ["order"] * 2 + ["notification"]
    for command in ("migrate", "bootstrap"):
        ended = await asyncio.gather(*(commands.run_async(service, command, env=environment) for service in services))
        assert [one.returncode for one in ended] == [0] * len(services), ended
        assert not any("Traceback" in one.stderr or '"level": "error"' in one.stderr for one in ended), ended

    counts = (
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM partners), (SELECT count(*) FROM clients), "
        "(SELECT count(*) FROM client_secrets), (SELECT count(*) FROM signing_keys)"
    )
    with psycopg.connect(postgres_url, dbname=f"{prefix}_user") as connection:
        assert connection.execute(counts).fetchone() == (1, 1, 1, 1, 1)
    with psycopg.connect(postgres_url, dbname=f"{prefix}_order") as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (8,)
