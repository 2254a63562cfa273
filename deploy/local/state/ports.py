"""Ports of the mesh: free ones, kept over restarts, so that an address in the mesh file stays right."""

import contextlib
import errno
import json
import os
import random
import socket
import weakref
from pathlib import Path

from deploy.local.failures import MeshError
from deploy.local.state.home import write_json
from deploy.local.supervisor.listening import holder

LOWEST, HIGHEST = 10_000, 30_000
"""Below what Linux hands to outgoing connections (32768 and up), which could take a dead part's port."""


class Ports:
    """Ports by the name of what listens there, remembered in a file.

    A port that is given is reserved as long as this object lives, so that no mesh that starts at the same time takes it
    before its part listens: it stays bound, which SO_REUSEADDR lets the part share, and a new port is one that nobody has bound.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._known: dict[str, int] = json.loads(file.read_text())
        except (OSError, ValueError):
            self._known = {}
        self._reserved: dict[int, int] = {}
        """Ports and the descriptors of their sockets."""
        weakref.finalize(self, _release, self._reserved)

    def take(self, name: str, wish: int = 0) -> int:
        """A free port for `name`: the one of last time, `wish`, or any."""
        known = self._known.get(name, 0)
        for port in [known, wish, *random.sample(range(LOWEST, HIGHEST), 200)]:
            # That of last time may be in TIME_WAIT.
            if port and port not in self._reserved and is_free(port, shared=port == known):
                self._reserve(port)
                self._known[name] = port
                return port
        raise MeshError("No free port was found on 127.0.0.1: stop some of what listens there.")

    def _reserve(self, port: int) -> None:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # taken at this moment: its part will say so
            bound.bind(("127.0.0.1", port))
        self._reserved[port] = bound.detach()

    def save(self) -> None:
        """Remember what was given."""
        write_json(self._file, self._known)


def _release(reserved: dict[int, int]) -> None:
    for descriptor in reserved.values():
        os.close(descriptor)


def is_free(port: int, *, shared: bool = True) -> bool:
    """Whether something could listen on the port of 127.0.0.1 now; `shared`: also where it is reserved."""
    return _fault(port, shared=shared) == 0


def claim(port: int) -> None:
    """Raises `MeshError` where the edge could not listen on `port`."""
    fault = _fault(port)
    if fault == errno.EADDRINUSE:
        who = holder(port)
        remedy = (
            f"stop {'that' if who else 'what listens there'}, or choose another, such as WEFT_EDGE_PORT={port + 1}."
        )
        raise MeshError(f"Port {port} is taken{f' by {who}' if who else ''}: {remedy}")
    if fault in (errno.EACCES, errno.EPERM):
        raise MeshError(
            f"Port {port} needs a permission that you lack: choose one above 1023, such as WEFT_EDGE_PORT=8080."
        )
    if fault:
        raise MeshError(f"Port {port} cannot be used ({errno.errorcode[fault]}): choose another with WEFT_EDGE_PORT.")


def _fault(port: int, *, shared: bool = True) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(shared))  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            return error.errno or errno.EIO
    return 0
