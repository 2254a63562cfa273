"""The wheel holds what outside callers need and nothing else, and works where nothing of ours is."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from weft.order.v1 import order_pb2, product_pb2, product_service_pb2
from weft.user.v1 import user_pb2
from weft_client import testing

from deploy.local.state.certificates import Certificates
from tests.clients.package.examples import EXAMPLES, program

ROOT = Path(__file__).resolve().parents[3]

FIRST_EXAMPLE = """
import asyncio, sys, weft_client
from weft_client import ClientCredentials

async def main(address, ca, client_id, client_secret):
    async with weft_client.AsyncWeft(address, auth=ClientCredentials(client_id, client_secret), ca=ca) as weft:
        customer = await weft.users.create_user(display_name="Ada", email="ada@example.com")
        products = [product async for product in weft.products.list_products() if product.active and product.stock]
        lines = [{"product_id": products[-1].product_id, "quantity": 1}]  # the newest come first
        order = await weft.orders.create_order(
            customer_id=customer.user_id, lines=lines, payment_method="pm_sandbox_ok"
        )
    with weft_client.Weft(address, auth=ClientCredentials(client_id, client_secret), ca=ca) as weft:
        print(weft.orders.get_order(order_id=order.order_id).order_id)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as a release is."""
    folder = tmp_path_factory.mktemp("wheel")
    skipped = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT / "clients" / "python", folder / "python", ignore=skipped)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_no_internal_call_and_none_of_our_options(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = "\n".join(archive.read(name).decode() for name in names if name.endswith((".py", ".pyi")))
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"weft", "weft_client"}
    assert {"weft/py.typed", "weft_client/py.typed", "weft/order/v1/order_pb2.pyi"} <= set(names)
    for word in (
        "BatchGetUsers",
        "PublishEvents",
        "IssueVerificationCode",
        "MethodPolicy",
        "buf/validate",
        "google/api/annotations",
    ):
        assert word not in text


def test_it_asks_for_little(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        lines = archive.read(name).decode().splitlines()
    asked = {line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")}
    packages = {requirement.split(">")[0].split("<")[0] for requirement in asked}
    assert packages == {"grpcio", "protobuf", "googleapis-common-protos", "opentelemetry-api", "types-protobuf"}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[tuple[testing.Fakes, Path]]:
    """A fake edge with an edge's certificate, and the authority to trust."""
    certificates = Certificates(tmp_path, [])
    certificates.ensure()
    pair = (certificates.key("edge-server").read_bytes(), certificates.certificate("edge-server").read_bytes())
    with testing.Fakes(credentials=grpc.ssl_server_credentials([pair])) as fakes:
        fakes.reply("orders.create_order", order_pb2.Order(order_id="ord_1"))
        fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
        fakes.reply("users.create_user", user_pb2.User(user_id="usr_1"))
        products = [
            product_pb2.Product(product_id=id, active=id == "prd_2", stock=9) for id in ("prd_1", "prd_2", "prd_3")
        ]
        fakes.reply("products.list_products", product_service_pb2.ListProductsResponse(products=products))
        yield fakes, certificates.ca


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel and nothing else."""
    place = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, timeout=120)
    python = place / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, env=_bare(), cwd=place, timeout=300)
    return python


def _bare() -> dict[str, str]:
    """The environment without anything that leads to our tree."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}


def _run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), *arguments]
    return subprocess.run(
        command, env=_bare(), cwd=python.parent, capture_output=True, text=True, timeout=60, check=False
    )


def test_nothing_comes_with_it_but_what_it_asks_for(installed: Path) -> None:
    done = _run(installed, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check")
    found = {package["name"] for package in json.loads(done.stdout)} - {"pip", "setuptools", "wheel"}
    assert found - {"importlib_metadata", "typing_extensions", "zipp"} == {
        "weft-client", "grpcio", "protobuf", "googleapis-common-protos", "opentelemetry-api", "types-protobuf",
    }  # fmt: skip


def test_it_runs_the_first_example(installed: Path, edge: tuple[testing.Fakes, Path]) -> None:
    fakes, ca = edge
    done = _run(installed, "-W", "error", "-c", FIRST_EXAMPLE, fakes.address, str(ca), "cli_1", "hush")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["ord_1"], "")
    (created,) = fakes.calls("orders.create_order")
    assert created.metadata["authorization"] == "Bearer fake"
    assert [line.product_id for line in created.request.lines] == ["prd_2"]


@pytest.mark.parametrize("checker", [("mypy", "--python-executable"), ("pyright", "--pythonpath")], ids=lambda c: c[0])
def test_every_example_passes_a_type_checker_where_only_the_wheel_is(
    checker: tuple[str, str], installed: Path, tmp_path: Path
) -> None:
    """The checker is ours; what it knows of is the environment's."""
    (tmp_path / "examples.py").write_text(program(EXAMPLES))
    command = [sys.executable, "-m", checker[0], checker[1], str(installed), "examples.py"]
    done = subprocess.run(command, env=_bare(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout


def test_a_field_that_does_not_exist_is_refused_by_mypy(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("from weft.order.v1.order_pb2 import Order\n\nOrder(order_ids='x').totals\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", str(installed), "wrong.py"]
    done = subprocess.run(command, env=_bare(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert "order_ids" in done.stdout
    assert "totals" in done.stdout


@pytest.mark.e2e
def test_it_runs_the_first_example_against_the_mesh(installed: Path, mesh: dict[str, Any]) -> None:
    address, partner = mesh["edge_tls"].removeprefix("https://"), mesh["partner"]
    example = FIRST_EXAMPLE.replace("ada@", f"{secrets.token_hex(8)}@")
    done = _run(
        installed, "-W", "error", "-c", example, address, mesh["ca"], partner["client_id"], partner["client_secret"]
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("ord_")
