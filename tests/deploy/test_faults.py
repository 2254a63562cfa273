"""Whatever the operating system refuses is one sentence with its remedy, from every command."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.failures import describe
from deploy.local.options import ROOT

MOUNTS = os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0
"""Whether a test may mount a disk of its own."""


def run(home: Path, *words: str, before: str = "") -> str:
    """What the command says on standard error, where it ends with 1; `before` is shell that comes first."""
    command = [sys.executable, "-m", "deploy.local", *(words or ("run",))]
    if before:
        command = ["unshare", "--mount", "sh", "-ec", f'{before}; exec "$@"', "sh", *command]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "WEFT_HOME": str(home), "WEFT_EDGE_PORT": "31999", "TARGET": str(home)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    return done.stderr


def test_a_path_that_is_too_long_is_said(tmp_path):
    home = tmp_path / ("n" * 300)

    assert run(home) == f"{str(home)[:200]}… is too long a path: choose a shorter one with WEFT_HOME.\n"


def test_a_link_that_leads_to_itself_is_said(tmp_path):
    home = tmp_path / "loop"
    home.symlink_to(home)

    assert run(home / "home") == (
        f"{home / 'home'} is a link that leads to itself: remove it, or choose another folder with WEFT_HOME.\n"
    )


@pytest.mark.parametrize("below", ["", "home"])
def test_a_file_in_the_place_of_a_folder_is_said(tmp_path, below):
    (tmp_path / "file").write_text("")

    assert run(tmp_path / "file" / below).endswith(
        " is not a folder: move it away, or choose another folder with WEFT_HOME.\n"
    )


def test_a_disk_that_fills_up_at_the_first_write_is_said(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "probe").symlink_to("/dev/full")

    assert run(tmp_path) == f"The disk of {tmp_path} is full: make room, or choose another disk with WEFT_HOME.\n"


def test_a_file_that_is_a_folder_is_said(tmp_path):
    (tmp_path / "lock").mkdir()

    assert run(tmp_path) == (
        f"{tmp_path / 'lock'} is a folder where a file belongs: move it away, or choose another folder with WEFT_HOME.\n"
    )


ELSEWHERE = "choose another folder with WEFT_HOME."
FULL = "make room, or choose another disk with WEFT_HOME."
DISKS = {
    'mount -t tmpfs -o size=64k none "$TARGET"; cat /dev/zero > "$TARGET/filler" 2>/dev/null || true': f" is full: {FULL}",
    'mount -t tmpfs -o size=40m none "$TARGET"': f" is full (40 MB are free and 300 are needed): {FULL}",
    'mount -t tmpfs -o ro none "$TARGET"': f"/certs is on a disk that can only be read: {ELSEWHERE}",
}
"""Shell that mounts a disk, and how the sentence about it ends."""


@pytest.mark.parametrize(
    ("before", "end"), DISKS.items() if MOUNTS else (), ids=("full", "small", "read-only") if MOUNTS else ()
)
def test_a_disk_that_cannot_be_written_is_said(tmp_path, before, end):
    said = run(tmp_path, before=before)

    assert said.removeprefix("The disk of ").startswith(str(tmp_path))
    assert said.endswith(f"{end}\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("logs",), ("trace", "0123456789"), ("status",), ("stop",), ("demo",), ("restart", "order")]
)
def test_every_command_says_it(tmp_path, words):
    (tmp_path / "file").write_text("")

    said = run(tmp_path / "file", *words)

    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_what_nobody_has_foreseen_is_a_sentence_too():
    where = Path("/some/where")

    assert {describe(OSError(number, os.strerror(number)), where)[-1] for number in errno.errorcode} == {"."}
    assert describe(OSError(errno.EIO, "Input/output error", "/a/file"), where) == (
        "/a/file cannot be used (Input/output error): see to that, or choose another folder with WEFT_HOME."
    )
    assert describe(OSError(errno.EMFILE, "Too many open files"), where) == (
        "Too many files are open: raise the limit (ulimit -n)."
    )
