"""kill -9, while orders are made: nothing that was acknowledged is lost, and nothing takes effect twice."""

import pytest

from tests.e2e.lifecycle.killing import kill
from tests.e2e.lifecycle.traffic import Traffic

pytestmark = pytest.mark.e2e


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
