"""A mesh ends within the ten seconds that docs/running.md promises, idle and under load."""

import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.e2e.lifecycle.traffic import Traffic
from tests.mesh import Mesh

pytestmark = pytest.mark.soak
MAX_STOP_TIME_S = 10


@pytest.mark.parametrize("load", [False, True], ids=["idle", "under load"])
def test_a_mesh_ends_in_time(folder: Path, load: bool) -> None:
    mesh = Mesh(folder / f"stop {load}" / "home").start()
    traffic = Traffic(mesh.content)
    with traffic if load else nullcontext():
        if load:
            traffic.flow(20)
        began = time.monotonic()
        assert mesh.stop() == 0
        took = time.monotonic() - began
    traffic.close()
    print(f"ended in {took:.1f} s")
    assert took < MAX_STOP_TIME_S
