"""The home of a mesh: closed to others, used by one mesh at a time, and clear about what it lacks."""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import asdict

import pytest

from deploy.local.failures import MeshError
from deploy.local.options import ROOT
from deploy.local.state import credentials
from deploy.local.state.home import Home

_Usage = namedtuple("_Usage", "total used free")


def modes(folder):
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


def test_only_the_owner_reads_what_is_in_it(home):
    credentials.load(home.folder / "secrets.json", ("order", "user"))

    assert oct(home.folder.stat().st_mode & 0o777) == "0o711"
    found = modes(home.folder)
    assert found.pop("secrets.json") == "0o600"
    assert found == dict.fromkeys(
        ("certs", "logs", "mail", "sms", "push", "webhooks", "traces", "run", "control"), "0o700"
    )


def test_secrets_are_made_once(home):
    file = home.folder / "secrets.json"

    first = credentials.load(file, ("order", "user"))

    assert credentials.load(file, ("order", "user")) == first
    assert first.partner_client_id.startswith("cli_")
    assert len(first.partner_client_secret) >= 32
    assert json.loads(file.read_text())["operator_email"] == "operator@weft.local"


def test_a_second_mesh_is_told_of_the_first(home):
    home.lock()

    with pytest.raises(MeshError) as caught:
        Home(home.folder).lock()

    assert str(caught.value) == (
        f"Another mesh (process {os.getpid()}) runs in {home.folder}: stop it, or choose another folder with WEFT_HOME."
    )
    assert Home(home.folder).holder() == os.getpid()
    home.unlock()
    Home(home.folder).check_unlocked()
    assert Home(home.folder).holder() is None


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(1 << 40, 1 << 40, 5 << 20))

    with pytest.raises(MeshError, match=r"is full \(5 MB are free and 300 are needed\): make room"):
        Home(tmp_path / "home").create()


def test_a_folder_that_may_not_be_written_is_said(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom deploy.local.state.home import Home\nfrom deploy.local.failures import MeshError\n"
        "os.geteuid() or os.setresuid(65534, 65534, 65534)\n"
        "try:\n    Home(Path(sys.argv[1])).create()\nexcept MeshError as fault:\n    print(fault)\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)

    said = subprocess.run(
        [sys.executable, "-c", script, closed / "home"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout

    assert said == (
        f"{closed / 'home'} may not be written by you: give yourself the right, or choose another folder with WEFT_HOME.\n"
    )


def test_each_service_has_secrets_of_its_own_and_a_later_one_gets_some_too(home):
    file = home.folder / "secrets.json"
    first = credentials.load(file, ("order", "user"))
    later = credentials.load(file, ("note", "order", "user"))

    found = [later.data_keys(name)["k1"] for name in ("note", "order", "user")]
    found += [
        getattr(later, part)(name)
        for name in ("note", "order", "user")
        for part in ("serving_password", "owner_password")
    ]
    assert len(set(found)) == 9
    assert {name: later.services[name] for name in ("order", "user")} == first.services


def test_the_one_data_key_of_an_older_mesh_stays_with_the_personal_data_only(home):
    file = home.folder / "secrets.json"
    made = asdict(credentials.load(file, ()))
    del made["services"]
    file.write_text(json.dumps({**made, "data_keys": {"k1": "old"}}))

    found = credentials.load(file, ("order", "user"))

    assert found.data_keys("user") == {"k1": "old"}
    assert "old" not in found.data_keys("order").values()
    assert credentials.load(file, ("order", "user")) == found
