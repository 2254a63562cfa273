"""1,500 clients with different plans for a minute against two edges: each gets its plan's rate, none another's."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from joserfc.jwk import ECKey
from weft.api.v1 import policy_pb2

import contract as contracts
from bench.load.http import Connection
from contract import Contract, RateClass
from tests.edge.conftest import Mint, deployed
from tests.edge.running import running, stat, until
from tests.edge.upstream import Upstream
from tests.servers import free_ports

pytestmark = pytest.mark.soak
READS = {"free": 4, "standard": 8, "premium": 16}
"""Requests a bucket by plan."""
PERIOD = 4
"""Seconds in which a bucket fills: a second, slowed down to what two cores can serve 1,500 clients."""
CLIENTS = {"free": 1420, "standard": 60, "premium": 20}
SECONDS, WARM_UP, OFFERED = 60, 10, 1.25


def slowed() -> Contract:
    """The repository's contract with other rates, by the way that any change of a rate takes."""
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(contracts.DESCRIPTORS.read_bytes())
    (file,) = [file for file in descriptors.file if file.name == "weft/api/v1/plan.proto"]
    for value in file.enum_type[0].value[1:]:
        rate = READS[value.name.removeprefix("PLAN_").lower()]
        value.options.Extensions[policy_pb2.limits].reads_per_second = rate
    return Contract(descriptors)


def slow(config: Any) -> None:
    """Let every bucket of a configuration fill in `PERIOD` seconds."""
    if isinstance(config, dict):
        if "fill_interval" in config:
            config["fill_interval"] = f"{PERIOD}s"
        for value in config.values():
            slow(value)
    elif isinstance(config, list):
        for value in config:
            slow(value)


@pytest.fixture
def edges(key: ECKey, tmp_path: Path) -> Iterator[list[str]]:
    """Two edges before one server; their addresses."""
    contract = slowed()
    assert {plan: rates[RateClass.READ] for plan, rates in contract.plans.items()} == READS
    with Upstream(contract, {"keys": [key.as_dict(private=False)]}) as upstream:
        services = {package.split(".")[1]: upstream.address for package in contract.packages}
        found = []
        for number in range(2):
            folder = tmp_path / f"edge-{number}"
            (folder / "docs").mkdir(parents=True)
            (folder / "docs" / "index.html").write_text("docs")
            (folder / "openapi.json").write_text("{}")
            made = deployed(contract, folder, services, tuple(free_ports(3)))  # type: ignore[arg-type]
            found.append(replace(made, edges=2))
        with running(contract, found[0], slow), running(contract, found[1], slow):
            for one in found:
                until(lambda one=one: stat(one, "http.edge.jwt_authn.jwks_fetch_success"), "the keys are fetched")
                until(lambda one=one: stat(one, "cluster.order.membership_healthy"), "the services are healthy")
            yield [f"127.0.0.1:{one.http_port}" for one in found]


async def ask(
    address: str, schedule: list[tuple[float, str, bytes]], found: dict[str, Counter[str]], begun: float
) -> None:
    """Send what one edge gets at its times, over as many connections as that takes; count answers after the warm-up."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(64):
        free.put_nowait((await loop.create_connection(Connection, host, int(port)))[1])

    async def one(client: str, request: bytes, counted: bool) -> None:
        connection = await free.get()
        try:
            status = await connection.send(request)
        finally:
            free.put_nowait(connection)
        if counted:
            found[client][status] += 1

    async with asyncio.TaskGroup() as group:
        for due, client, request in schedule:
            if (wait := begun + due - loop.time()) > 0:
                await asyncio.sleep(wait)
            group.create_task(one(client, request, due >= WARM_UP))


async def test_each_of_1500_clients_gets_the_rate_of_its_plan(edges: list[str], mint: Mint) -> None:
    schedules: list[list[tuple[float, str, bytes]]] = [[], []]
    plans: dict[str, str] = {}
    for plan, count in CLIENTS.items():
        for number in range(count):
            client = f"cli_{plan}_{number}"
            plans[client] = plan
            token = mint(sub=client, plan=plan)
            request = f"GET /v1/orders/ord_1 HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
            pace = READS[plan] / PERIOD * OFFERED
            for turn in range(int((SECONDS + WARM_UP) * pace)):
                schedules[turn % 2].append(((turn + number / count) / pace, client, request))
    for schedule in schedules:
        schedule.sort(key=lambda entry: entry[0])
    found: dict[str, Counter[str]] = defaultdict(Counter)
    begun = asyncio.get_running_loop().time() + 1
    wall = time.monotonic()
    await asyncio.gather(*(ask(edge, schedule, found, begun) for edge, schedule in zip(edges, schedules, strict=True)))
    took = time.monotonic() - wall - 1 - WARM_UP
    print(f"\n{'plan':10} {'clients':>8} {'allowed/s':>10} {'least':>7} {'mean':>7} {'most':>7} {'429':>8}")
    for plan, rate in ((plan, reads / PERIOD) for plan, reads in READS.items()):
        rates = [found[client]["200"] / took for client in plans if plans[client] == plan]
        refused = sum(found[client]["429"] for client in plans if plans[client] == plan)
        print(
            f"{plan:10} {len(rates):8} {rate:10} {min(rates):7.2f} {sum(rates) / len(rates):7.2f} {max(rates):7.2f} {refused:8}"
        )
        assert abs(sum(rates) / len(rates) / rate - 1) <= 0.05
        assert all(abs(one / rate - 1) <= 0.05 for one in rates)
        assert refused > 0
    assert {status for counts in found.values() for status in counts} == {"200", "429"}
