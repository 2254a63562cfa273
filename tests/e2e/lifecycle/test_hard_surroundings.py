"""A mesh in a hostile environment: an old PostgreSQL, proxies, a long path, no traces. The demo still runs."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from chassis.postgres import MIN_VERSION
from deploy.local.demo.scenario import Scenario
from deploy.local.options import ROOT
from deploy.local.state.home import Home
from deploy.local.state.ports import Ports
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.readiness import listens
from tests.mesh import Mesh
from tests.servers import running

pytestmark = pytest.mark.e2e
DEBIAN = Path(f"/usr/lib/postgresql/{MIN_VERSION}/bin")
NOWHERE = "http://127.0.0.1:1"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def debian_postgres(folder: Path) -> Part:
    """Debian's PostgreSQL with a cluster of its own."""
    folder.mkdir(mode=0o700)
    user = 65534 if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    data = folder / "data"
    subprocess.run(
        [DEBIAN / "initdb", "-D", data, "-U", "weft", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
        cwd="/", check=True, stdout=subprocess.DEVNULL, **as_user,
    )  # fmt: skip
    port = Ports(folder.parent / "debian port").take("postgres")
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200}
    command = (str(DEBIAN / "postgres"), "-D", str(data), *(f"-c{name}={value}" for name, value in options.items()))
    return Part("postgres", "postgres", command, {"LC_ALL": "C.UTF-8"}, folder, listens(port), ports=(port,), user=user)


@pytest.fixture(scope="module")
def old_server(folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of the oldest release that is supported, where the machine has one; else the tests' own."""
    if not DEBIAN.exists():
        yield request.getfixturevalue("postgres_url")
        return
    part = debian_postgres(folder / "debian")
    with running(part):
        yield f"postgresql://weft@127.0.0.1:{part.ports[0]}"


@pytest.fixture(scope="module")
def mesh(folder: Path, old_server: str) -> Iterator[Mesh]:
    """The mesh in those surroundings; its commands have them too."""
    long = folder / ("a path that is too long for a socket " * 3).strip() / "home"
    with pytest.MonkeyPatch.context() as patch:
        for name in PROXIES:
            patch.setenv(name, NOWHERE)
        for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
            patch.delenv(name, raising=False)
        started = Mesh(long, {"WEFT_DATABASE_URL": old_server, "WEFT_TRACE_RATIO": "0"}).start()
        yield started
        started.stop()


def test_the_demo_goes_through_and_says_why_it_shows_no_trace(mesh):
    done = mesh.command("demo")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The customer's order was not traced: WEFT_TRACE_RATIO is 0.0." in done.stdout
    assert "round 1 went well" in done.stdout


def test_orders_work_on_the_oldest_server(mesh, old_server):
    scenario = Scenario(mesh.content)
    customer = scenario.sign_up()
    order_id = scenario.place_order(customer, scenario.products()[-1]).order["orderId"]
    scenario.wait_until_paid(customer, order_id)
    scenario.wait_for_notification(customer, order_id)
    scenario.close()
    assert mesh.content["pids"]["postgres"] is None
    with psycopg.connect(old_server, dbname="postgres") as connection:
        assert connection.info.server_version // 10_000 == (MIN_VERSION if DEBIAN.exists() else 18)


def test_sockets_are_apart_for_our_own_user_where_the_path_is_too_long(mesh):
    sockets = Home(mesh.home).sockets

    assert not sockets.is_relative_to(mesh.home)
    assert sockets.stat().st_mode & 0o077 == 0
    assert {file.name for file in sockets.iterdir()} >= {"traces.sock", "edge-1.sock"}
    assert "serves" in next(line for line in mesh.command("status").stdout.splitlines() if line.startswith("traces"))


def test_every_part_has_the_surroundings(mesh):
    pid = mesh.content["pids"]["order"][0]

    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")

    assert f"http_proxy={NOWHERE}".encode() in environment
    assert Path(f"/proc/{pid}/cwd").resolve() == ROOT
