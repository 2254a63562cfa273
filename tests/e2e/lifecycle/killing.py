"""kill -9 of a part of a mesh, as tests do it."""

import os
import signal

from tests.mesh import Mesh
from tests.servers import wait_until


def pid_of(mesh: Mesh, part: str) -> int | None:
    found = mesh.content["pids"][part]
    return (found[0] if found else None) if isinstance(found, list) else found


def kill(mesh: Mesh, part: str) -> None:
    """End a part, and wait until the mesh has another in its place."""
    before = pid_of(mesh, part)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(mesh, part) not in (None, before), f"another {part}", 60)
