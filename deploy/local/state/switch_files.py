"""Where the failure switches of a mesh are: a file for each part, with those that are on, one a line."""

import shutil
from pathlib import Path


def folder(home: Path) -> Path:
    """Where the switches of a mesh are."""
    return home / "run" / "faults"


def file(home: Path, part: str) -> Path:
    """The switches that are on in a part, one a line: the `WEFT_FAULTS_FILE` of its processes."""
    return folder(home) / part


def clear(home: Path) -> None:
    """All off, as a mesh starts."""
    shutil.rmtree(folder(home), ignore_errors=True)
