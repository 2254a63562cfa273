"""What an idle mesh keeps in memory."""

import pytest

from tests.servers import wait_until

pytestmark = pytest.mark.e2e
MOST = 420 << 20
"""Bytes of all processes together."""


def test_an_idle_mesh_is_small(own_mesh):
    """Memory of its own, with pages that several of its processes share counted once (PSS), as the kernel accounts it.

    Pages of files, such as Envoy's program, are left out: the kernel drops them where it needs room, and divides them
    among all who run the same file, so that they say how many other meshes there are.
    """

    def own() -> int:
        found = 0
        for process in own_mesh.processes():
            try:
                with open(f"/proc/{process.pid}/smaps_rollup") as file:
                    sizes = dict(line.split(":", 1) for line in file.read().splitlines()[1:])
            except OSError:  # it has ended
                continue
            found += sum(int(sizes[name].split()[0]) << 10 for name in ("Pss_Anon", "Pss_Shmem") if name in sizes)
        return found

    wait_until(lambda: 0 < own() < MOST, f"{MOST >> 20} MB or less", 90)  # pools shrink within a minute of a load
