"""The one foreign archive is fetched by its hash, from wherever this machine's pip looks, and nothing in it is run."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from codegen import third_party

PROOF = "ran"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A source distribution that leaves a file wherever any of its code is run."""
    leave = f"open({str(tmp_path / PROOF)!r}, 'w').close()"
    sources = {
        "setup.py": f"{leave}\nfrom setuptools import setup\nsetup(name='trap', version='1.0')\n",
        "backend.py": leave,
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: trap\nVersion: 1.0\n",
    }
    file = tmp_path / "files" / "trap-1.0.tar.gz"
    file.parent.mkdir()
    with tarfile.open(file, "w:gz") as tar:
        for name, text in sources.items():
            member = tarfile.TarInfo(f"trap-1.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return file


def fetch(archive: Path, requirement: str, sha256: str, **env: str) -> str:
    """Its length, or the sentence that says why not."""
    code = (
        "import sys\nfrom codegen import third_party\n"
        "try:\n    print(len(third_party.fetch(*sys.argv[1:])))\n"
        "except third_party.FetchError as error:\n    print(error)\n"
    )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "-c", code, requirement, sha256],
        env={**inherited, "PIP_CONFIG_FILE": os.devnull, **env},
        cwd=third_party.ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip


@pytest.fixture
def index(archive: Path, tmp_path: Path) -> dict[str, str]:
    """A folder that is a package index."""
    page = tmp_path / "simple" / "trap"
    page.mkdir(parents=True)
    (page / "index.html").write_text(f'<!DOCTYPE html><a href="{archive.as_uri()}">{archive.name}</a>')
    return {"PIP_INDEX_URL": page.parent.as_uri()}


def test_an_archive_comes_from_the_index_that_pip_is_told_of_and_is_not_run(archive, index, tmp_path):
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()

    by_index = fetch(archive, "trap==1.0", digest, **index)
    by_folder = fetch(archive, "trap==1.0", digest, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(archive.parent))

    assert by_index == by_folder == str(archive.stat().st_size)
    assert not (tmp_path / PROOF).exists()


def test_another_archive_than_the_pinned_one_is_refused(archive, index, tmp_path):
    assert fetch(archive, "trap==1.0", "0" * 64, **index) == (
        "the source of trap==1.0 has another SHA-256 than codegen/third_party.txt: do not use it."
    )
    assert fetch(archive, "trap==1.1", "0" * 64, **index) == (
        "no package index that pip knows of here has the source of trap==1.1: "
        "name one that has with PIP_INDEX_URL or PIP_FIND_LINKS."
    )
    assert not (tmp_path / PROOF).exists()


def test_the_proto_is_the_pinned_one():
    file = third_party.PROTOS / third_party.VALIDATE

    assert hashlib.sha256(file.read_bytes()).hexdigest() == third_party.VALIDATE_SHA256
