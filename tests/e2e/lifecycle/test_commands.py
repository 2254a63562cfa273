"""The commands beside a running mesh: what they show, and that each says what it does."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local.demo.scenario import Scenario
from deploy.local.options import ROOT
from tests.mesh import Mesh
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shared(mesh) -> Mesh:
    """The mesh that all tests share, for commands that leave it as it is."""
    return Mesh(Path(mesh["ca"]).parent.parent)


@pytest.fixture(scope="module")
def placed(mesh, customer):
    """An order that has come to its end, with the ids of the call that placed it."""
    steps = Scenario(mesh)
    found = steps.place_order(customer, steps.products()[-1])
    steps.wait_for_confirmation(customer.email, found.order["orderId"])
    steps.close()
    return found


def text(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_status_shows_every_part_that_serves_its_process_and_its_ports(shared):
    shown = text(shared.command("status"))

    rows = {line.split()[0]: line.split() for line in shown.splitlines()[3:-2]}
    pids = {name: ids if isinstance(ids, list) else [ids] for name, ids in shared.content["pids"].items()}
    assert set(rows) >= {"postgres", "valkey", "mail", "traces", "order-1", "user-1", "notification-1", "edge-1"}
    assert [rows["order-1"][1]] == [str(pid) for pid in pids["order"]]
    assert all("serves" in row for row in rows.values())
    assert shared.content["services"]["order"][0].rpartition(":")[2] in " ".join(rows["order-1"]).replace(",", "")
    assert shared.content["edge"].rpartition(":")[2] in " ".join(rows["edge-1"]).replace(",", "")


@pytest.mark.parametrize("by", ["order", "request", "trace"])
def test_everything_about_an_id_is_shown_at_once(shared, scenario, customer, placed, by):
    order_id = placed.order["orderId"]
    reply = scenario.call("GET", f"/v1/orders/{order_id}", account=customer)
    request_id, trace_id = reply.headers["x-request-id"], reply.headers["traceresponse"].split("-")[1]
    wanted = {"order": order_id, "request": request_id, "trace": trace_id}[by]

    def shown() -> bool:
        out = shared.command("trace", wanted).stdout
        call = re.search(rf"GET \S+ 200 0 .*request_id={request_id} trace_id={trace_id}", out)
        tree = re.search(rf"trace {trace_id}: .*\n +edge: \S+GetOrder .*\n +order: \S+/GetOrder", out)
        return bool(call and tree)

    wait_until(shown, "the call and its trace", 30)


def test_the_order_that_was_placed_is_found_by_its_id(shared, placed):
    def shown() -> bool:
        out = shared.command("trace", placed.order["orderId"]).stdout
        return f"trace {placed.trace_id}: " in out and "notification: send mail" in out

    wait_until(shown, "the trace of the call that placed the order", 30)


def test_an_id_that_nobody_knows_is_said(shared):
    done = shared.command("trace", "ord_00000000000000000000000000")

    assert done.returncode == 1
    assert done.stderr.startswith("Nothing about ord_00000000000000000000000000 is kept in ")
    assert done.stderr.count("\n") == 1


def test_logs_shows_the_last_lines_and_what_comes(shared, scenario):
    assert text(shared.command("logs", "order", "-n", "1")).startswith("order-1 ")
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "logs", "access", "-f", "-n", "1"],
        cwd=ROOT, env={**os.environ, "WEFT_HOME": str(shared.home)}, stdout=subprocess.PIPE, text=True,
    ) as following:  # fmt: skip
        try:
            assert following.stdout.readline().startswith("access-1 ")  # it follows from behind this line on
            request_id = scenario.call("GET", "/v1/products?pageSize=1").headers["x-request-id"]

            assert any(request_id in line for line in following.stdout)

            following.send_signal(signal.SIGINT)
            assert following.wait(20) == 130
        finally:
            following.kill()


def test_logs_of_a_part_that_there_is_not_names_those_that_there_are(shared):
    done = shared.command("logs", "ordr")

    assert done.returncode == 1
    assert re.fullmatch(r"No part ordr has a log in .*: say one of access-1, .*order-1, .*valkey\.\n", done.stderr)


def test_a_restart_says_what_it_does(own_mesh):
    before = own_mesh.content["pids"]["order"]

    shown = text(own_mesh.command("restart", "order"))

    after = own_mesh.content["pids"]["order"]
    assert shown.splitlines()[0] == f"order-1: stopping process {before[0]} …"
    assert re.fullmatch(rf"order-1: process {after[0]} is ready \(\d+\.\d s\)", shown.splitlines()[1])
    assert "serves" in next(line for line in text(own_mesh.command("status")).splitlines() if "order-1" in line)


def test_a_copied_authority_is_good_until_certificates_move_and_the_new_copy_is_good_on(own_mesh, tmp_path):
    def copy(name: str) -> Path:
        made = tmp_path / name
        made.write_bytes(Path(own_mesh.content["ca"]).read_bytes())
        return made

    def trusts(copied: Path) -> bool:
        port = int(own_mesh.content["edge_tls"].rpartition(":")[2])
        context = ssl.create_default_context(cafile=str(copied))
        try:
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                return True
        except ssl.SSLCertVerificationError:
            return False

    old = copy("old.crt")
    shown = text(own_mesh.command("rotate")).splitlines()
    assert len(shown) == 1 and shown[0].startswith("Every certificate was renewed")

    shown = text(own_mesh.command("rotate", "--authority")).splitlines()

    assert shown[0].startswith("A new authority is in ") and shown[0].endswith("give the file to all who hold a copy.")
    assert "rotate --authority --now" in shown[1]
    new = copy("new.crt")
    assert trusts(old) and trusts(new)
    assert text(own_mesh.command("rotate", "--authority")).splitlines() == shown[1:]

    shown = text(own_mesh.command("rotate", "--authority", "--now")).splitlines()

    assert "Every certificate comes from the new authority now" in shown[-2]
    wait_until(lambda: not trusts(old), "the edge to show a certificate of the new authority", 30)
    assert trusts(new)
    assert own_mesh.command("demo").returncode == 0


def test_stop_ends_the_mesh_and_afterwards_every_command_says_that_none_runs(own_mesh):
    processes = own_mesh.processes()

    shown = text(own_mesh.command("stop"))

    assert shown.splitlines()[-1] == "stopped"
    assert own_mesh.process.wait(20) == 0
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    for words in (("demo",), ("status",), ("restart", "order"), ("rotate",)):
        done = own_mesh.command(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"No mesh runs in {own_mesh.home}: start it with `make run`, or name its folder with WEFT_HOME.\n"
        )
    assert "mesh   " in text(own_mesh.command("logs", "mesh"))
    own_mesh.start()


def test_a_demo_on_a_mesh_that_was_killed_says_so_at_once(own_mesh):
    killed = own_mesh.processes()
    for process in killed:  # the init first, or it would start another
        with contextlib.suppress(psutil.NoSuchProcess):  # its parts end with it
            process.kill()
    psutil.wait_procs(killed, timeout=20)
    own_mesh.process.wait(20)
    assert (own_mesh.home / "mesh.json").exists()

    done = own_mesh.command("demo")

    assert done.returncode == 1
    assert done.stderr == (
        f"No mesh runs in {own_mesh.home}: start it with `make run`, or name its folder with WEFT_HOME.\n"
    )
    own_mesh.start()
