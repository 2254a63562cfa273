"""The command and the environment of a part that is written in Python."""

import os
import sys
from pathlib import Path

from deploy.local.options import ROOT


def module(name: str, *arguments: str | Path) -> tuple[str, ...]:
    """The command that runs a Python module."""
    return (sys.executable, "-m", name, *map(str, arguments))


def python_environment() -> dict[str, str]:
    """The environment of a Python part: ours, with this tree's sources first."""
    sources = [str(ROOT / folder) for folder in ("", "gen/python", "clients/python/src", "third_party/python")]
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,  # compiled modules are kept: they halve the time to start
        "PYTHONPATH": os.pathsep.join([*sources, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc gives each thread an arena of its own; two are enough here and save memory
        "GRPC_VERBOSITY": os.environ.get("GRPC_VERBOSITY", "ERROR"),
    }
