"""Which failure switches are on in this process: those of `WEFT_FAULTS`, and those that a file names now.

Off, a switch costs a look into an empty set.
"""

import threading
from collections.abc import Callable, Collection
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


def follow(always: Collection[str], file: Path, allowed: Collection[str]) -> Callable[[], None]:
    """From now on `always`, and those of `allowed` that `file` names, one a line. Without the file: `always`.

    By a thread of its own: the event loop may be what fails. What is returned ends it, and turns all off.
    """
    turn(always)
    over, may = threading.Event(), frozenset(allowed)

    def look() -> None:
        while not over.wait(INTERVAL_S):
            turn({*always, *(read(file) & may)})

    thread = threading.Thread(target=look, name="faults", daemon=True)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()
        turn(())

    return end


def read(file: Path) -> set[str]:
    """The switches that a file names; those that no process has are left out."""
    try:
        return set(file.read_text().split()) & OF_PROCESS
    except OSError:
        return set()
