"""Which failure switches are on in this process: those of `WEFT_FAULTS`, and those that a file names now.

Off, a switch costs a look into an empty set.
"""

import threading
from collections.abc import Collection
from pathlib import Path

from chassis.faults.catalogue import OF_PROCESS

INTERVAL_S = 0.3
"""Seconds between two looks at the file."""
_on: frozenset[str] = frozenset()


def on(name: str) -> bool:
    """Whether a switch is on; `name` is one of the catalogue's."""
    return name in _on


def turn(names: Collection[str]) -> None:
    """Turn these on, and all others off."""
    global _on
    _on = frozenset(names)


def follow(always: Collection[str], file: Path, allowed: Collection[str]) -> None:
    """From now on `always`, and those of `allowed` that `file` names, one a line. Without the file: `always`.

    By a thread of its own: the event loop may be what fails.
    """
    turn(always)
    threading.Thread(target=_follow, args=(always, file, frozenset(allowed)), name="faults", daemon=True).start()


def _follow(always: Collection[str], file: Path, allowed: frozenset[str]) -> None:
    while not _OVER.wait(INTERVAL_S):
        turn({*always, *(read(file) & allowed)})


def read(file: Path) -> set[str]:
    """The switches that a file names; those that no process has are left out."""
    try:
        return set(file.read_text().split()) & OF_PROCESS
    except OSError:
        return set()


_OVER = threading.Event()
"""Never set: waiting for it is a pause."""
