"""Periodic work of the mesh survives a disk that refuses a write."""

import asyncio
import errno
import os

import pytest

from deploy.local import options
from deploy.local.aside.beginning import renew
from deploy.local.mesh import Mesh
from deploy.local.state.certificate_files import EDGE
from deploy.local.state.credentials import load
from deploy.local.state.endpoints import Edge, Endpoints
from deploy.local.state.mesh_file import MeshFile
from tests.servers import until


@pytest.fixture
def mesh(home, journal):
    return Mesh(options.read({"WEFT_HOME": str(home.folder)}), home, journal)


async def test_what_the_disk_refuses_is_reported_and_reattempts(mesh, home):
    attempts = []

    async def work() -> None:
        attempts.append(len(attempts))
        if len(attempts) < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(home.certificates / "ca.crt"))

    async def enough() -> bool:
        return len(attempts) >= 4

    task = asyncio.create_task(mesh._every(0.01, work))
    await until(enough, "the work to go on")
    task.cancel()

    full = f"The disk of {home.certificates / 'ca.crt'} is full: make room, or choose another disk with WEFT_HOME."
    said = (home.logs / "mesh.log").read_text().splitlines()
    assert said == [f"{full} It is retried in 0 s."] * 2


async def test_certificates_are_renewed_once_their_folder_can_be_written_again(mesh, home):
    """With a real refusal: a folder in the place of the file."""
    renew(home.folder, ())
    issued = mesh._certificates.certificate(EDGE)
    issued.unlink()
    issued.mkdir()
    task = asyncio.create_task(mesh._every(0.01, mesh._renew_certificates))

    async def refused() -> bool:
        return (home.logs / "mesh.log").exists()

    await until(refused, "the refusal to be said")
    assert not task.done()
    issued.rmdir()

    async def renewed() -> bool:
        return issued.is_file()

    await until(renewed, "the certificate")
    task.cancel()


async def test_the_mesh_file_is_written_once_the_disk_takes_it_again(mesh, home):
    endpoints = Endpoints(
        redis_url="", otlp_endpoint="", smtp_url="", sms_url="", push_url="", webhook_url="", addresses={}, metrics={},
    )  # fmt: skip
    edges = [Edge(1, 8080, 8443, 9000, 9100, home.logs / "access.log", home.run / "admin.sock")]
    file = MeshFile(home, mesh._options, edges, endpoints, load(home.folder / "secrets.json", ()), mesh._certificates)
    obstacle = home.folder / f".mesh.json.{os.getpid()}"
    obstacle.mkdir()
    task = asyncio.create_task(mesh._follow(file))
    mesh._supervisor._changed.set()

    async def looked() -> bool:
        return not mesh._supervisor._changed.is_set()

    await until(looked, "the first attempt")
    assert not home.mesh_file.exists()
    obstacle.rmdir()

    async def written() -> bool:
        return home.mesh_file.exists()

    await until(written, "the mesh file")
    task.cancel()
