"""What the tests of the whole mesh share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.demo.scenario import Account, Scenario
from tests.mesh import Mesh
from tests.servers import data_place


@pytest.fixture(scope="module")
def customer(mesh) -> Iterator[Account]:
    """A signed-in customer of the shared mesh."""
    steps = Scenario(mesh)
    yield steps.sign_up()
    steps.close()


@pytest.fixture(scope="session")
def own_mesh() -> Iterator[Mesh]:
    """A mesh that tests may break and stop, if they leave it running; in a folder whose path has a space."""
    with tempfile.TemporaryDirectory(prefix="weft own mesh ", dir=data_place()) as folder:
        Path(folder).chmod(0o711)
        mesh = Mesh(Path(folder) / "home")
        mesh.start()
        yield mesh
        if mesh.process is not None and mesh.process.poll() is None:
            mesh.stop()
