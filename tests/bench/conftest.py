"""The sides of the bench, as its comparisons meet them: our order service, and both peers, on real PostgreSQL."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from bench.peers import stack
from tests.bench.sides import PeerA, PeerB, Side, Weft, filled
from tests.harness import Harness
from tests.order.users import Users, serving

TERMS = stack.Terms(workers=1, pool_size=8)


@pytest.fixture(params=["weft", "fastapi_sqlalchemy", "grpc_bare"])
async def side(
    request: pytest.FixtureRequest, harness: Harness, postgres_url: str, tmp_path: Path
) -> AsyncIterator[Side]:
    """One of the three, with two products, of which three and a hundred pieces are there."""
    if request.param == "weft":
        users = Users()
        async with AsyncExitStack() as running:
            users.address = await running.enter_async_context(serving(users, harness.certificates))
            settings = {"peers": {"user": [users.address]}, "work": False}
            service = await running.enter_async_context(harness.running("order", **settings))
            yield await filled(Weft.of(service, harness.issuer, users))
        return
    name = f"peer_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"{postgres_url}/{name}"
    peer = await asyncio.to_thread(stack.start, request.param, url, 0, TERMS, tmp_path)
    try:
        made: Side = PeerA(peer, url) if request.param == "fastapi_sqlalchemy" else PeerB(peer, url)
        async with made:
            yield await filled(made)
    finally:
        await asyncio.to_thread(peer.stop)
        with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
