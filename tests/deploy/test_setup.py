"""Setting up and cleaning up: one at a time, and safe to break off."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.options import ROOT
from deploy.local.state.home import Home


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as after `make setup`, without what is in it."""
    made = tmp_path / "a tree"
    for name in ("deploy/setup.sh", "deploy/clean.sh", "requirements.lock", "codegen/third_party.py"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made / name)
    shutil.copy(ROOT / "codegen" / "third_party.txt", made / "codegen")
    for folder in (".venv/bin", ".weft/postgres", "third_party"):
        (made / folder).mkdir(parents=True)
    (made / ".venv" / "ready").touch()
    return made


def script(tree: Path, name: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", f"deploy/{name}.sh"],
        cwd=tree, env={**os.environ, "PYTHON": "/nowhere/python", **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_second_setup_waits_for_the_first_and_uses_what_it_made(tree):
    first = os.open(tree, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    with subprocess.Popen(
        ["bash", "deploy/setup.sh"],
        cwd=tree, env={**os.environ, "PYTHON": "/nowhere/python"}, stdout=subprocess.PIPE, text=True,
    ) as second:  # fmt: skip
        assert second.stdout.readline() == "setup: another setup is at work in this folder; waiting for it …\n"

        os.close(first)

        assert second.wait(20) == 0


def test_a_python_that_is_not_there_is_said(tree):
    done = script(tree, "setup")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("setup: Python 3.11 or newer is needed and '/nowhere/python' is not it; install it")


def test_clean_removes_everything_and_the_data_that_is_elsewhere(tree, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (tree / ".weft" / "postgres" / "data is elsewhere").write_text(f"{elsewhere}\n")

    done = script(tree, "clean")

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tree.iterdir()) == ["codegen", "deploy", "requirements.lock"]
    assert not elsewhere.exists()


def test_a_clean_that_is_broken_off_leaves_nothing_that_looks_whole(tree, tmp_path):
    (tmp_path / "bin").mkdir()
    breaks = tmp_path / "bin" / "rm"
    breaks.write_text('#!/bin/sh\ncase "$1" in -rf) kill -INT $PPID; exit 130;; esac\nexec /bin/rm "$@"\n')
    breaks.chmod(0o755)

    broken = script(tree, "clean", PATH=f"{breaks.parent}:{os.environ['PATH']}")

    assert broken.returncode != 0
    assert {".venv", ".weft", "third_party"}.isdisjoint(path.name for path in tree.iterdir())
    assert script(tree, "clean").returncode == 0
    assert sorted(path.name for path in tree.iterdir()) == ["codegen", "deploy", "requirements.lock"]


def test_clean_leaves_a_running_mesh_alone(tree):
    home = Home(tree / ".weft")
    home.lock()

    done = script(tree, "clean")

    assert done.returncode == 1
    assert done.stderr == (
        f"clean: a mesh (process {os.getpid()}) runs in .weft: stop it first, with python -m deploy.local stop.\n"
    )
    assert (tree / ".venv" / "ready").exists()
    home.unlock()
