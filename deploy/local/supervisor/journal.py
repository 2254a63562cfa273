"""The output of the parts: to the terminal behind the part's name, and to bounded files."""

import errno
import os
import sys
import threading
from collections import deque
from pathlib import Path

MAX_LOG_BYTES = 5 << 20
"""Size of a log file before it becomes `<part>.log.1`, which replaces the one before."""
NAME_WIDTH = 16
"""Columns that the name of a part takes."""
MAX_BACKLOG_LINES = 2000
"""Lines that wait for a terminal that does not take them; further ones are only in the files."""


class Terminal:
    """Standard output that never holds the mesh up: a reader that stops reading loses lines, and nothing else."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._closing = False
        self._writer = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._writer.start()

    def show(self, line: str) -> None:
        """Print a line without waiting for the terminal."""
        with self._changed:
            if len(self._lines) >= MAX_BACKLOG_LINES:
                self._lost += 1
                return
            if self._lost:
                self._lines.append(f"{'mesh':{NAME_WIDTH}}| {self._lost} lines are only in the log files")
                self._lost = 0
            self._lines.append(line)
            self._changed.notify()

    def close(self) -> None:
        """Print what waits; give up after a second."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._writer.join(timeout=1)

    def _write(self) -> None:
        while True:
            with self._changed:
                while not self._lines:
                    if self._closing:
                        return
                    self._changed.wait()
                text = "\n".join(self._lines) + "\n"
                self._lines.clear()
            try:
                os.write(sys.stdout.fileno(), text.encode(errors="replace"))
            except OSError:
                return  # nobody reads any more; the files are still written


class Journal:
    """Log files in a folder, one for each part, and the terminal."""

    def __init__(self, folder: Path, terminal: Terminal) -> None:
        self._folder = folder
        self._terminal = terminal
        self._logs: dict[str, Log] = {}
        self._reported_full = False

    def info(self, text: str) -> None:
        """A line of the mesh's own."""
        self.log("mesh").write(text)

    def announce(self, text: str) -> None:
        """A line without a name before it, for those who wait for it."""
        self._terminal.show(text)

    def file(self, part: str) -> Path:
        """The log file of a part."""
        return self._folder / f"{part}.log"

    def log(self, part: str) -> "Log":
        """Where the part's lines go."""
        if part not in self._logs:
            self._logs[part] = Log(part, self.file(part), self)
        return self._logs[part]

    def show(self, part: str, line: str) -> None:
        """To the terminal only."""
        self._terminal.show(f"{part:{NAME_WIDTH}}| {line}")

    def failed(self, error: OSError) -> None:
        """A log file could not be written. Reported once: the mesh serves without logs rather than not at all."""
        if not self._reported_full:
            self._reported_full = True
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            cause = "the disk is full: make room" if full else f"{error.strerror}: look at {self._folder}"
            self.show("mesh", f"Logs are lost, {cause}.")


class Log:
    """The log of one part. Keeps the last line, which says why a part ended."""

    def __init__(self, part: str, file: Path, journal: Journal) -> None:
        self._part = part
        self._file = file
        self._journal = journal
        self._descriptor = -1
        self._size = 0
        self.last = ""

    def write(self, text: str) -> None:
        """Take one or more lines."""
        for line in text.splitlines():
            if line.strip():
                self.last = line.strip()
                self._journal.show(self._part, line)
        raw = (text if text.endswith("\n") else f"{text}\n").encode(errors="replace")
        try:
            if self._descriptor < 0 or self._size > MAX_LOG_BYTES:
                self._open()
            self._size += os.write(self._descriptor, raw)
        except OSError as error:
            self._journal.failed(error)

    def _open(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._file.exists() and self._file.stat().st_size > MAX_LOG_BYTES:
            self._file.replace(self._file.with_name(f"{self._file.name}.1"))
        self._descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size
