"""What is done aside is answered, and what it meets is said as if it had been done here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.aside import asking
from deploy.local.failures import MeshError
from deploy.local.supervisor.python import python_environment
from deploy.local.supervisor.supervisor import Supervisor

SOURCE = """
import sys
from pathlib import Path
from deploy.local.failures import MeshError

def join(words, path):
    print("a line for the log")
    return {path / word for word in words}

def refuse(word):
    print("a line for the log")
    raise MeshError(f"{word} is refused: say another.")

def read(path):
    return path.read_text()

def lack():
    import nothing_of_this_name
"""
LARGE = ("contract", "codegen", "cryptography", "google", "psycopg", "jinja2", "grpc", "aiohttp")


@pytest.fixture
def supervisor(home, journal, tmp_path: Path, monkeypatch) -> Supervisor:
    (tmp_path / "done_aside.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("WEFT_HOME", str(home.folder))
    return Supervisor(journal, home.run, lambda *_: "")


async def test_a_call_is_answered(supervisor, home):
    found = await asking.call(supervisor, "done_aside:join", ["a", "b"], Path("/c"))

    assert found == {Path("/c/a"), Path("/c/b")}
    assert (home.logs / "done_aside.log").read_text() == "a line for the log\n"


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (("refuse", "this"), "^this is refused: say another.$"),
        (("read", Path("/no such file")), "^/no such file is gone: start the mesh again, or "),
        (("lack",), "^The module nothing_of_this_name is missing: run `make setup` and then `make gen`.$"),
        (("join", 1, 2), "TypeError"),
    ],
)
async def test_what_it_meets_is_said(supervisor, call, fault):
    with pytest.raises(MeshError, match=fault):
        await asking.call(supervisor, f"done_aside:{call[0]}", *call[1:])


def test_the_supervisor_has_no_large_library():
    source = f"import sys, deploy.local.command, deploy.local.mesh; print(*sorted(set(sys.modules) & set({LARGE})))"
    ran = subprocess.run(
        [sys.executable, "-c", source], env=python_environment(), capture_output=True, text=True, check=True
    )

    assert ran.stdout.split() == []
