"""When parts fail: calls go elsewhere, load is shed early, and an edge that drains loses nothing."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest
from joserfc.jwk import ECKey

from codegen.envoy import clusters
from codegen.envoy.lua import time_slicing
from contract import Contract
from deploy.container.drain import drain
from tests.edge import protocols
from tests.edge.conftest import Edge, Mint, deployed
from tests.edge.running import running, stat, until
from tests.edge.upstream import Upstream
from tests.servers import free_ports

FEW = 2
"""Calls in a tenth of a second that are many here, so that a slow machine can show it."""


@pytest.fixture(params=["least request", "time-slicing"])
def pair(
    request: pytest.FixtureRequest,
    contract: Contract,
    key: ECKey,
    mint: Mint,
    edge: Edge,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Edge, Upstream, Upstream]]:
    """An edge before two replicas of everything: with cores of their own, with shared ones, and with these in a busy time."""
    if request.param == "busy time-slicing":
        monkeypatch.setattr(time_slicing, "BUSY_CALLS", FEW)
    folder = tmp_path_factory.mktemp("pair")
    public = {"keys": [key.as_dict(private=False)]}
    with Upstream(contract, public) as one, Upstream(contract, public) as two:
        http, metrics, jwks = free_ports(3)
        names = [package.split(".")[1] for package in contract.packages]
        single = deployed(
            contract, folder, dict.fromkeys(names, ""), (http, metrics, jwks), pages=edge.deployment.folder
        )
        both = dict.fromkeys(names, (one.address, two.address))
        deployment = replace(single, services=both, time_slicing="time-slicing" in request.param)
        with running(contract, deployment):
            until(lambda: stat(deployment, "http.edge.jwt_authn.jwks_fetch_success"), "the keys are fetched")
            until(lambda: stat(deployment, "cluster.order.membership_healthy") == 2, "both are healthy")
            yield Edge(f"http://127.0.0.1:{http}", deployment, one, mint), one, two


def test_calls_are_spread_and_go_on_when_a_replica_stops(pair: tuple[Edge, Upstream, Upstream]) -> None:
    edge, one, two = pair
    headers = {"authorization": f"Bearer {edge.mint()}"}
    with httpx.Client(base_url=edge.url, headers=headers) as client:
        assert {client.get("/v1/orders/ord_1").status_code for _ in range(40)} == {200}
        assert min(orders(one), orders(two)) > 5
        two.__exit__()
        assert {client.get("/v1/orders/ord_1").status_code for _ in range(100)} == {200}
        until(lambda: stat(edge.deployment, "cluster.order.membership_healthy") == 1, "the edge knows of it")


@pytest.mark.soak  # counts changes in time
@pytest.mark.parametrize("pair", ["busy time-slicing"], indirect=True)
def test_while_calls_are_many_replicas_are_time_sliced(pair: tuple[Edge, Upstream, Upstream]) -> None:
    edge, one, two = pair
    takers: list[Upstream] = []
    with httpx.Client(base_url=edge.url, headers={"authorization": f"Bearer {edge.mint()}"}) as client:
        began = time.monotonic()
        while time.monotonic() < began + 1.5 or len(set(takers)) < 2:
            known = orders(one)
            assert client.get("/v1/orders/ord_1").status_code == 200
            if time.monotonic() > began + 0.3:  # as calls are many only after a tenth that had many
                takers.append(one if orders(one) > known else two)
        tenths = (time.monotonic() - began - 0.3) * 10
    changes = sum(before is not after for before, after in pairwise(takers))
    assert changes <= tenths + 1, (changes, tenths, len(takers))


def test_what_reached_a_server_is_not_repeated(pair: tuple[Edge, Upstream, Upstream]) -> None:
    edge, one, two = pair
    failed = edge.call("POST", "/v1/orders", json={}, headers={"x-test-error": "UNAVAILABLE"})
    assert failed.status_code == 503
    assert orders(one) + orders(two) == 1


def test_load_beyond_the_room_is_shed_early_and_retryable(edge: Edge) -> None:
    count = clusters.CALLS_PER_REPLICA + 40
    edge.upstream.release.clear()
    healthy = threading.Event()

    async def flood() -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {edge.mint()}", "x-test-sleep": "8"}
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(base_url=edge.url, headers=headers, limits=limits, timeout=30) as client:
            calls = [asyncio.create_task(client.get("/v1/orders/ord_1")) for _ in range(count)]
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            healthy.set()
            assert (await client.get("/healthz")).status_code == 200  # health traffic is always let through
            edge.upstream.release.set()
            return await asyncio.gather(*calls)

    try:
        answers = asyncio.run(flood())
    finally:
        edge.upstream.release.clear()
    counted = Counter(answer.status_code for answer in answers)
    assert counted[503] >= 30, counted
    assert counted[200] >= clusters.CALLS_PER_REPLICA // 2, counted
    shed = next(answer for answer in answers if answer.status_code == 503)
    refusal = protocols.assert_refusal(shed, "OVERLOADED")
    assert (refusal.retry, refusal.headers["retry-after"]) == (True, "1")


def test_an_edge_that_drains_answers_what_it_has_and_ends_streams_that_begin(
    pair: tuple[Edge, Upstream, Upstream],
) -> None:
    edge, one, two = pair
    headers = {"authorization": f"Bearer {edge.mint()}"}
    answers: list[int] = []

    def call_slowly() -> None:
        answers.append(httpx.get(f"{edge.url}/v1/orders/ord_1", headers={**headers, "x-test-sleep": "1"}).status_code)

    slow = threading.Thread(target=call_slowly)
    leaving = threading.Thread(target=lambda: asyncio.run(drain(edge.deployment.admin_socket, 20)))
    with httpx.Client(base_url=edge.url, headers={**headers, "x-test-hold": "30"}) as client:
        assert "connection" not in client.get("/v1/orders/ord_1").headers
        slow.start()
        until(lambda: orders(one) + orders(two) == 2, "the call is under way")
        leaving.start()
        until(lambda: stat(edge.deployment, "listener_manager.listener_stopped"), "nobody is let in")
        began = time.monotonic()
        with client.stream("GET", "/v1/orders:watch", headers={"grpc-timeout": "25S"}) as answer:
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            cursors = [json.loads(line.removeprefix("data: "))["cursor"] for line in answer.iter_lines() if line]
    assert (cursors, time.monotonic() - began < 10) == (["c0", "c1", "c2"], True)
    slow.join(10)
    leaving.join(10)
    assert (answers, leaving.is_alive()) == ([200], False)


def orders(upstream: Upstream) -> int:
    """How many calls of order reached a replica."""
    return sum(call[0].service == "weft.order.v1.OrderService" for call in upstream.calls)
