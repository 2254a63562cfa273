"""The sides of the bench, as its comparisons meet them: our order service, and the peers, on real PostgreSQL."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from bench.stacks import node, peers
from bench.stacks.peers import Peer
from tests.bench.sides import PeerB, Rest, Side, Weft, filled
from tests.harness import Harness
from tests.order.users import Users, serving

TERMS = peers.Terms(workers=1, pool_size=8)


@pytest.fixture(scope="module")
def started(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Peer, str]]]:
    """Starts a peer at most once, on a database of its own; the peer, and its database's URL."""
    made: dict[str, tuple[Peer, str]] = {}

    def start(kind: str) -> tuple[Peer, str]:
        if kind not in made:
            name = f"peer_{secrets.token_hex(4)}"
            with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            url = f"{postgres_url}/{name}"
            made[kind] = peers.start(kind, url, 0, TERMS, tmp_path_factory.mktemp("peer")), url
        return made[kind]

    yield start
    for peer, url in made.values():
        peer.stop()
        with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


# On Node, so not on every machine, and with packages that are fetched: `make soak ARGS=tests/bench`.
NODE = [] if node.missing() else [pytest.param(peers.NODE, marks=pytest.mark.soak)]


@pytest.fixture(params=["weft", *peers.KINDS, *NODE])
async def side(
    request: pytest.FixtureRequest, harness: Harness, started: Callable[[str], tuple[Peer, str]]
) -> AsyncIterator[Side]:
    """One of them, with two products, of which three and a hundred pieces are there, and no order."""
    if request.param == "weft":
        users = Users()
        async with AsyncExitStack() as running:
            users.address = await running.enter_async_context(serving(users, harness.certificates))
            settings = {"peers": {"user": [users.address]}, "work": False}
            service = await running.enter_async_context(harness.running("order", **settings))
            yield await filled(Weft.of(service, harness.issuer, users))
        return
    peer, url = await asyncio.to_thread(started, request.param)
    made: Side = PeerB(peer, url) if request.param == "grpc_bare" else Rest(peer, url)
    async with made:
        await made.empty()
        yield await filled(made)
