"""kill -9, while orders are made: nothing that was acknowledged is lost, and nothing takes effect twice."""

import os
import signal

import pytest

from tests.e2e.lifecycle.traffic import Traffic
from tests.mesh import Mesh
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


def pid_of(mesh: Mesh, part: str) -> int | None:
    found = mesh.content["pids"][part]
    return (found[0] if found else None) if isinstance(found, list) else found


def kill(mesh: Mesh, part: str) -> None:
    """End a part, and wait until the mesh has another in its place."""
    before = pid_of(mesh, part)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(mesh, part) not in (None, before), f"another {part}", 60)


def test_orders_survive_the_death_of_order_notification_and_postgres(own_mesh):
    with Traffic(own_mesh.content) as traffic:
        for part in ("order", "notification", "postgres"):
            traffic.flow(10)
            kill(own_mesh, part)
            traffic.flow(10)
    traffic.check()
    traffic.close()


@pytest.mark.soak
def test_the_mesh_heals_whichever_process_dies(own_mesh):
    with Traffic(own_mesh.content) as traffic:
        for part in ("user", "valkey", "envoy", "mail", "traces", "mesh", "order", "notification", "postgres"):
            traffic.flow(10)
            kill(own_mesh, part)
            traffic.flow(20)
    traffic.check()
    traffic.close()
