"""What an idle mesh keeps in memory."""

import psutil
import pytest

from tests.servers import wait_until

pytestmark = pytest.mark.e2e
MOST = 500 << 20
"""Bytes of all processes together."""


def test_an_idle_mesh_is_small(own_mesh):
    """Resident memory with pages that several processes share counted once (PSS), as the kernel accounts it."""

    def resident() -> int:
        found = 0
        for process in own_mesh.processes():
            try:
                found += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        return found

    wait_until(lambda: 0 < resident() < MOST, f"{MOST >> 20} MB or less", 90)  # pools shrink within a minute of a load
