"""`logs`: what the parts have written, and with `follow` what they write from now on."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local.failures import MeshError
from deploy.local.state.home import Home
from deploy.local.supervisor.journal import NAME_WIDTH

POLL_INTERVAL_S = 0.2


def show(home: Home, part: str, lines: int, follow: bool) -> None:
    """Print the last lines of a part's logs (`order` means all that begin so), or of every part's. Raises `MeshError`."""
    files = _files(home, part)
    if not files:
        known = sorted({file.stem for file in home.logs.glob("*.log")})
        raise MeshError(
            f"No part {part or 'at all'} has a log in {home.logs}: say one of {', '.join(known) or 'none'}."
        )
    readers = {file: _Follower(file) for file in files}
    for file, reader in readers.items():
        for line in tail(file, lines, reader.start):
            _print(file, line)
    if not follow:
        return
    while True:
        for file in _files(home, part):
            if file not in readers:
                readers[file] = _Follower(file, from_start=True)
        for file, reader in readers.items():
            for line in reader.read():
                _print(file, line)
        time.sleep(POLL_INTERVAL_S)


def _files(home: Home, part: str) -> list[Path]:
    every = sorted(home.logs.glob("*.log"))
    exact = [file for file in every if file.stem == part]
    return exact or [file for file in every if not part or file.stem.startswith(f"{part}-")]


def tail(file: Path, lines: int, end: int) -> list[str]:
    """The last lines of the first `end` bytes of a file, from at most the last MiB of them."""
    start = max(0, end - (1 << 20))
    with file.open("rb") as stream:
        stream.seek(start)
        return stream.read(end - start).decode(errors="replace").splitlines()[-lines:] if lines else []


def _print(file: Path, line: str) -> None:
    print(f"{file.stem:{NAME_WIDTH}}| {line}", flush=True)


class _Follower:
    """Reads what is appended to a file, also after the mesh has moved it away and begun another."""

    def __init__(self, file: Path, from_start: bool = False) -> None:
        self._file = file
        self._stream = file.open("rb")
        self.start = self._stream.seek(0, os.SEEK_SET if from_start else os.SEEK_END)
        """Where reading began, in bytes."""
        self._rest = b""

    def read(self) -> Iterator[str]:
        """Whole lines that came since the last time."""
        text = self._rest + self._stream.read()
        whole, _, self._rest = text.rpartition(b"\n")
        yield from whole.decode(errors="replace").splitlines()
        try:
            moved = self._file.stat().st_ino != os.fstat(self._stream.fileno()).st_ino
        except FileNotFoundError:
            return
        if moved:
            self._stream.close()
            self._stream = self._file.open("rb")
