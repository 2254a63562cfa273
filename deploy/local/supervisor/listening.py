"""Who listens where on this machine, as /proc shows it (proc(5), Linux)."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTEN = "0A"


def holder(port: int) -> str:
    """Who listens on a TCP port: `nginx (process 12)`; empty where nobody does or /proc does not say."""
    inodes = {inode for found, inode in _listeners() if found == port}
    for pid in _pids() if inodes else ():
        if inodes & _sockets(pid):
            return f"{_name(pid)} (process {pid})"
    return ""


def taken(ports: Iterable[int]) -> str:
    """Which of a part's ports others hold: `port 8080 is taken by nginx (process 12)`; empty where none is."""
    found = [(port, holder(port)) for port in ports]
    return ", ".join(f"port {port} is taken by {who}" for port, who in found if who)


def ports_of(pid: int) -> list[int]:
    """The TCP ports that a process listens on."""
    own = _sockets(pid)
    return sorted({port for port, inode in _listeners() if inode in own})


def _listeners() -> list[tuple[int, str]]:
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                found.append((int(fields[1].rpartition(":")[2], 16), fields[9]))
    return found


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _sockets(pid: int) -> set[str]:
    """Inodes of a process's sockets; none where it is gone or not ours to look at."""
    found = set()
    for link in _links(Path(f"/proc/{pid}/fd")):
        if link.startswith("socket:["):
            found.add(link[8:-1])
    return found


def _links(folder: Path) -> Iterator[str]:
    try:
        descriptors = os.listdir(folder)
    except OSError:
        return
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # closed since it was listed, as the one that listed it is
            yield os.readlink(folder / descriptor)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process that has ended"
