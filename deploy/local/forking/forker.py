"""Starts Python parts from a process that has imported what they share."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from typing import Any

from deploy.local.options import ROOT
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.prctl import die_with_parent
from deploy.local.supervisor.python import module, python_environment

READY_TIMEOUT_S = 30.0
"""For the process to have imported everything."""
REPLY_TIMEOUT_S = 5.0
ROOM_BYTES = 1 << 15
"""For the environments of parts, where the kernel shows the one that a process was executed with."""


class Forked:
    """A part that runs, as `Popen` would show it."""

    def __init__(self, forker: "Forker", pid: int, orphan_signal: int) -> None:
        self.pid = pid
        self._forker = forker
        self._orphan_signal = orphan_signal

    def wait(self) -> int:
        """The exit code of a part that has ended. Where who knew it has ended too, the part did by the signal for orphans."""
        try:
            return int(self._forker.ask({"wait": self.pid})["code"])
        except OSError:
            return -self._orphan_signal


class Forker:
    """The process from which parts are forked, `ready` once. Where it is gone, `start` raises `OSError`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket

    def begin(self) -> None:
        """Start it; it imports meanwhile."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()

        def end_with_us() -> None:
            die_with_parent(signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        self._process = subprocess.Popen(
            module("deploy.local.forking.server", str(theirs.fileno())),
            cwd=ROOT,
            env={**python_environment(), "WEFT_ROOM": " " * ROOM_BYTES},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            preexec_fn=end_with_us,
        )
        theirs.close()

    async def ready(self) -> None:
        """Wait until it can fork, has ended, or has taken too long, and parts are started by their commands."""
        self._socket.setblocking(False)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await asyncio.get_running_loop().sock_recv(self._socket, 16)
            self._socket.settimeout(REPLY_TIMEOUT_S)
        except (OSError, TimeoutError):
            self._socket.close()

    def start(self, part: Part, output: int) -> Forked:
        """Fork a part that writes to the descriptor `output`. Raises `OSError`."""
        request = {
            "name": part.name,
            "module": part.command[2],
            "arguments": part.command[3:],
            "env": dict(part.env),
            "folder": str(part.folder),
            "orphan_signal": int(part.orphan_signal),
        }
        return Forked(self, int(self.ask(request, output)["pid"]), int(part.orphan_signal))

    def ask(self, request: dict[str, Any], *descriptors: int) -> dict[str, Any]:
        """Send a request and take its reply. Raises `OSError`, and then always: a late reply would be taken for another's.

        With the socket closed that process ends, and with it what it may have forked.
        """
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
            reply = self._socket.recv(1 << 12)
            if not reply:
                raise ConnectionResetError("the process that forks has ended")
        except OSError:
            self._socket.close()
            raise
        found: dict[str, Any] = json.loads(reply)
        return found

    def stop(self) -> None:
        """End it, if it has begun. What it has forked has ended before."""
        if self._process is not None:
            self._socket.close()
            try:
                self._process.wait(REPLY_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
