"""The wheel holds what outside callers need and nothing else, and works where nothing of ours is."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from weft.order.v1 import order_pb2
from weft_client import testing

from deploy.local.certificates import Certificates

ROOT = Path(__file__).resolve().parents[2]

FIRST_EXAMPLE = """
import asyncio, sys, weft_client
from weft_client import ClientCredentials

async def main(address, ca):
    async with weft_client.AsyncWeft(address, auth=ClientCredentials("cli_1", "secret"), ca=ca) as weft:
        line = {"product_id": "prd_1", "quantity": 1}
        order = await weft.orders.create_order(lines=[line], payment_method="pm_sandbox_ok")
        print(order.order_id)
    with weft_client.Weft(address, auth=ClientCredentials("cli_1", "secret"), ca=ca) as weft:
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
    assert packages == {"grpcio", "protobuf", "googleapis-common-protos", "opentelemetry-api"}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[tuple[testing.Fakes, Path]]:
    """A fake edge with an edge's certificate, and the authority to trust."""
    certificates = Certificates(tmp_path, [])
    certificates.ensure()
    pair = (certificates.key("edge-server").read_bytes(), certificates.certificate("edge-server").read_bytes())
    with testing.Fakes(credentials=grpc.ssl_server_credentials([pair])) as fakes:
        fakes.reply("orders.create_order", order_pb2.Order(order_id="ord_1"))
        fakes.reply("orders.get_order", order_pb2.Order(order_id="ord_1"))
        yield fakes, certificates.ca


def test_it_runs_the_first_example_in_an_empty_environment(
    wheel: Path, edge: tuple[testing.Fakes, Path], tmp_path: Path
) -> None:
    fakes, ca = edge
    place = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, timeout=120)
    python = place / "bin" / "python"
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, env=bare, cwd=tmp_path, timeout=300)
    done = subprocess.run(
        [str(python), "-W", "error", "-c", FIRST_EXAMPLE, fakes.address, str(ca)],
        env=bare,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["ord_1", "ord_1"], "")
    (created,) = fakes.calls("orders.create_order")
    assert created.metadata["authorization"] == "Bearer fake"
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format", "json"], env=bare, capture_output=True, text=True, check=True
    )
    extra = {package["name"] for package in json.loads(listed.stdout)} - {"pip", "setuptools", "wheel"}
    assert extra == {
        "weft-client", "grpcio", "protobuf", "googleapis-common-protos", "opentelemetry-api", "typing_extensions",
    } | (extra & {"importlib_metadata", "zipp"})  # fmt: skip
