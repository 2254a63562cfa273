"""The folder that holds the mesh's state, and the lock that lets one mesh at a time use it."""

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.local.failures import MeshError, describe

MAX_SOCKET_FOLDER_BYTES = 90
"""Length of the folder of a Unix socket, whose whole path may have 107 (unix(7))."""
MIN_FREE_BYTES = 300 << 20
"""A new database cluster with its first segments takes about 60 MB, logs and traces up to 150 MB."""


class Home:
    """Paths below `WEFT_HOME`. Nothing exists before `create`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = folder / "certs"
        self.logs = folder / "logs"
        self.mail = folder / "mail"
        self.sms = folder / "sms"
        self.push = folder / "push"
        self.webhooks = folder / "webhooks"
        self.traces = folder / "traces"
        self.run = folder / "run"
        self.control = folder / "control"
        self.mesh_file = folder / "mesh.json"
        self._lock: int | None = None

    def create(self) -> None:
        """Make the folders. Raises `MeshError` without permission or room."""
        try:
            # Traversable, so that the unprivileged user of the database gets to its folder; every other one is closed.
            self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            sinks = (self.mail, self.sms, self.push, self.webhooks, self.traces)
            for folder in (self.certificates, self.logs, *sinks, self.run, self.control):
                folder.mkdir(mode=0o700, exist_ok=True)
            probe = self.run / "probe"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise MeshError(describe(error, self.folder)) from None
        if free < MIN_FREE_BYTES:
            raise MeshError(
                f"The disk of {self.folder} is full ({free >> 20} MB are free and {MIN_FREE_BYTES >> 20} are needed): "
                "make room, or choose another disk with WEFT_HOME."
            )

    def check_unlocked(self) -> None:
        """Raises `MeshError` while another mesh holds the folder."""
        self.lock()
        self.unlock()

    def unlock(self) -> None:
        """Release the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def lock(self) -> None:
        """Hold the folder until this process ends. Raises `MeshError` while another mesh holds it."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not _locked(descriptor, fcntl.LOCK_EX):
            holder = os.read(descriptor, 20).decode().strip()
            os.close(descriptor)
            raise MeshError(
                f"Another mesh (process {holder or 'unknown'}) runs in {self.folder}: "
                "stop it, or choose another folder with WEFT_HOME."
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor

    def holder(self) -> int | None:
        """The process id of the mesh that holds the folder; None where none does. Raises `OSError`."""
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if _locked(descriptor, fcntl.LOCK_SH):
                return None
            pid = os.read(descriptor, 20).decode().strip()
        finally:
            os.close(descriptor)
        return int(pid) if pid.isdigit() else 0

    @cached_property
    def sockets(self) -> Path:
        """Where Unix sockets are, for our own user alone: in the home, or apart where its path is too long for one."""
        if len(os.fsencode(self.run)) <= MAX_SOCKET_FOLDER_BYTES:
            return self.run
        apart = Path(tempfile.gettempdir()) / f"weft-{self.name}"
        with contextlib.suppress(FileExistsError):
            apart.mkdir(mode=0o700)
        found = apart.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise MeshError(
                f"{apart} is not yours alone: remove it, or choose a shorter path than {self.folder} with WEFT_HOME."
            )
        return apart

    @cached_property
    def name(self) -> str:
        """Tells this home from others on the machine, for what must be stored elsewhere; made once."""
        file = self.folder / "name"
        if not file.exists():
            write(file, os.urandom(6).hex())
        return file.read_text().strip()


def _locked(descriptor: int, how: int) -> bool:
    """Whether the lock was taken; retried briefly, as a process that only looks holds it no longer than that."""
    for _ in range(5):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return True
        if how == fcntl.LOCK_SH:
            break
        time.sleep(0.02)
    return False


def write(file: Path, text: str, mode: int = 0o600) -> None:
    """Write a file in one step: readers see the old text or the new one."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as stream:
            stream.write(text)
        draft.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_json(file: Path, value: Any, mode: int = 0o600) -> None:
    """The same for a JSON value."""
    write(file, json.dumps(value, indent=2) + "\n", mode)
