"""The mesh that runs in a home, as a second terminal sees it."""

import json
import os
import select
import signal
from typing import Any

from deploy.local.failures import MeshFault, said
from deploy.local.state.home import Home

STOP_S = 30.0
"""Seconds for a mesh to end; it takes at most ten unless the machine is overloaded."""


class Running:
    """The mesh of a home. Raises `MeshFault` where none runs, or none is ready yet."""

    def __init__(self, home: Home) -> None:
        self.home = home
        try:
            holder = home.holder()
            if holder is None:
                raise MeshFault(
                    f"No mesh runs in {home.folder}: start it with `make run`, or name its folder with WEFT_HOME."
                )
            self.pid = holder
            """Of the supervisor."""
            if not home.mesh_file.exists() or self.pid != self.content["pids"]["mesh"]:
                raise MeshFault(f"The mesh in {home.folder} is still starting: wait until it says `ready`.")
        except OSError as error:
            raise MeshFault(said(error, home.folder)) from None

    @property
    def content(self) -> dict[str, Any]:
        """`mesh.json` as it is now."""
        found: dict[str, Any] = json.loads(self.home.mesh_file.read_text())
        return found


def stop(home: Home) -> None:
    """End the mesh of a home, softly, and wait for its end. Raises `MeshFault`. One that is still starting ends too."""
    pid = home.holder()
    if not pid:
        raise MeshFault(f"No mesh runs in {home.folder}: there is nothing to stop.")
    print(f"stopping the mesh in {home.folder} (process {pid}): at most ten seconds …", flush=True)
    try:
        process = os.pidfd_open(pid)
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise MeshFault(f"The mesh (process {pid}) is another user's: only they, or root, may stop it.") from None
    try:
        if not select.select([process], [], [], STOP_S)[0]:
            raise MeshFault(f"The mesh has not ended in {STOP_S:.0f} s: see {home.logs / 'mesh.log'}.")
    finally:
        os.close(process)
    print("stopped", flush=True)
