"""Who listens where is read from /proc."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from deploy.local.failures import MeshError
from deploy.local.supervisor import listening
from deploy.local.supervisor.restarter import Restarter
from deploy.local.supervisor.supervisor import Supervisor
from tests.deploy.conftest import python_part
from tests.servers import until


@pytest.fixture
def taken():
    """A port that this process listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def me() -> str:
    return f"{Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"


def test_the_holder_of_a_port_is_named(taken):
    assert listening.holder(taken) == me()
    assert taken in listening.ports_of(os.getpid())
    assert listening.taken([taken]) == f"port {taken} is taken by {me()}"


def test_a_port_that_nobody_has_has_no_holder():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and nobody listens

        assert listening.holder(free.getsockname()[1]) == ""
    assert listening.taken([]) == ""


async def test_a_part_that_lost_its_port_names_the_holder_each_time(journal, home, taken):
    restarter = Restarter(python_part("import sys; sys.exit(1)", ports=(taken,)), journal, lambda: None)

    async def died():
        return restarter.deaths >= 1

    await until(died, "a death")
    await restarter.stop()
    logged = (home.logs / "mesh.log").read_text().splitlines()[0]
    assert logged.startswith(f"part ended with exit code 1, for port {taken} is taken by {me()}; it starts again in ")


async def test_a_start_that_fails_for_a_port_says_who_has_it(journal, home, taken):
    supervisor = Supervisor(journal, home.run, lambda *_: "")

    async def never(_: int) -> bool:
        return False

    with pytest.raises(MeshError) as caught:
        await asyncio.wait_for(
            supervisor.start([python_part("import sys; sys.exit('no')", probe=never, ports=(taken,))]), 60
        )
    await supervisor.stop()
    assert str(caught.value) == (
        f"part does not start (port {taken} is taken by {me()}): see {home.logs / 'part.log'}."
    )
