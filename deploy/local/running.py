"""The mesh that runs in a home, as a second terminal sees it."""

import json
import os
import select
import signal
from typing import Any

from deploy.local.failures import MeshError, describe
from deploy.local.state.home import Home

STOP_TIMEOUT_S = 30.0
"""For a mesh to end; it takes at most ten unless the machine is overloaded."""


class Running:
    """The mesh of a home. Raises `MeshError` where none runs, or none is ready yet."""

    def __init__(self, home: Home) -> None:
        self.home = home
        try:
            holder = home.holder()
            if holder is None:
                raise MeshError(
                    f"No mesh runs in {home.folder}: start it with `make run`, or name its folder with WEFT_HOME."
                )
            self.pid = holder
            """Of the supervisor."""
            if not home.mesh_file.exists() or self.pid != self.content["pids"]["mesh"]:
                raise MeshError(f"The mesh in {home.folder} is still starting: wait until it says `ready`.")
        except OSError as error:
            raise MeshError(describe(error, home.folder)) from None

    @property
    def content(self) -> dict[str, Any]:
        """`mesh.json` as it is now."""
        found: dict[str, Any] = json.loads(self.home.mesh_file.read_text())
        return found


def stop(home: Home) -> None:
    """Stop the mesh of a home, and wait for its end. Raises `MeshError`. One that is still starting ends too."""
    pid = home.holder()
    if not pid:
        raise MeshError(f"No mesh runs in {home.folder}: there is nothing to stop.")
    print(f"stopping the mesh in {home.folder} (process {pid}): at most ten seconds …", flush=True)
    try:
        process = os.pidfd_open(pid)
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise MeshError(f"The mesh (process {pid}) is another user's: only they, or root, may stop it.") from None
    try:
        if not select.select([process], [], [], STOP_TIMEOUT_S)[0]:
            raise MeshError(f"The mesh has not ended in {STOP_TIMEOUT_S:.0f} s: see {home.logs / 'mesh.log'}.")
    finally:
        os.close(process)
    print("stopped", flush=True)
