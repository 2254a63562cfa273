"""What the tests of the local mesh's parts share."""

import sys
from pathlib import Path

import pytest

from deploy.local.options import ROOT
from deploy.local.state.home import Home
from deploy.local.supervisor.journal import Journal, Terminal
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.python import python_environment


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home in a folder whose name has a space."""
    made = Home(tmp_path / "a home")
    made.create()
    return made


@pytest.fixture
def journal(home):
    """Its logs."""
    terminal = Terminal()
    yield Journal(home.logs, terminal)
    terminal.close()


def python_part(code: str, name: str = "part", **more) -> Part:
    """A part that runs some Python."""
    return Part(name, name, (sys.executable, "-c", code), python_environment(), ROOT, **more)
