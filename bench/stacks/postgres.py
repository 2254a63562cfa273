"""A fresh PostgreSQL for each side, started the way the local mesh starts its own: the same programs and settings."""

import subprocess
import time
from pathlib import Path

import psycopg

from bench.stacks.processes import NotReady, free_port
from deploy.local.components import postgres
from deploy.local.state import home as homes

PASSWORD = "bench"
CONNECTIONS = 200


class Postgres:
    """A running server with no databases of ours yet; its data is below `folder`."""

    def __init__(self, folder: Path) -> None:
        home = homes.Home(folder)
        home.create()
        server = postgres.Postgres(home, PASSWORD, free_port(), CONNECTIONS)
        server.prepare()
        part = server.part()
        self.url = server.url
        self._stop_signal = part.stop_signal
        with (home.logs / "postgres.log").open("wb") as log:
            self._popen = subprocess.Popen(
                part.command,
                cwd=part.folder,
                env=dict(part.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=part.user,
                group=part.user,
                extra_groups=None if part.user is None else [],
            )
        self._wait()

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return self._popen.pid

    def create(self, database: str) -> str:
        """Creates a database: its URL."""
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        return f"{self.url}/{database}"

    def stop(self) -> None:
        """Ends the server; its data stays."""
        if self._popen.poll() is None:
            self._popen.send_signal(self._stop_signal)
            self._popen.wait(30)

    def _wait(self, seconds: float = 30.0) -> None:
        began = time.monotonic()
        while True:
            try:
                psycopg.connect(f"{self.url}/postgres", connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if self._popen.poll() is not None or time.monotonic() - began > seconds:
                    self.stop()
                    raise NotReady(f"PostgreSQL does not start: {error}") from error
                time.sleep(0.05)
            else:
                return
