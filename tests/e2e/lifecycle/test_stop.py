"""The end of a mesh: with nothing left, and with all data there at the next start. How long it takes: tests/soak."""

import signal

import psutil
import pytest

from deploy.local.demo.scenario import Scenario

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_mesh_ends_leaves_nothing_and_starts_again_on_the_same_data(own_mesh, number):
    scenario = Scenario(own_mesh.content)
    customer = scenario.sign_up()
    order_id = scenario.place_order(customer, scenario.products()[-1]).order["orderId"]
    scenario.wait_until_paid(customer, order_id)
    processes = own_mesh.processes()
    assert {process.pid for process in processes} >= {own_mesh.content["pids"]["mesh"]}

    if number is signal.SIGTERM:
        psutil.Process(own_mesh.content["pids"]["mesh"]).send_signal(number)
        code = own_mesh.process.wait(30)
    else:
        code = own_mesh.stop(number)

    assert code == 0
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    assert not (own_mesh.home / "mesh.json").exists()

    own_mesh.start()
    again = Scenario(own_mesh.content)
    found = again.call("GET", f"/v1/orders/{order_id}", account=customer).json()
    assert (found["orderId"], found["state"]) == (order_id, "ORDER_STATE_CONFIRMED")
    for steps in (scenario, again):
        steps.close()
