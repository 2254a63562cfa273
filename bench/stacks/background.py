"""Starts what works behind peer (e): Valkey, a mail server, the relay, and as many workers as cores."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine

from bench.peers.models import Base
from bench.peers.taskiq_background import tables
from bench.stacks.processes import Process, free_port
from deploy.local.components import valkey
from deploy.local.state import home as homes

PASSWORD = "bench"
TASKS = "24"
"""Tasks that a worker does at once: some more than it has connections to PostgreSQL."""
# What it has accepted is there after a crash: synced each second, as is usual. It forgets nothing for want of memory.
_KEPT = ("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory", "0")
_PACKAGE = "bench.peers.taskiq_background"
_TABLES = [Base.metadata.tables[one.__tablename__] for one in (tables.Charge, tables.Notice, tables.Delivery)]


@dataclass
class Background:
    """The running processes, by group, and where the mails are."""

    groups: dict[str, Process]
    mails: Path

    @property
    def pids(self) -> dict[str, list[int]]:
        """As accounts take them."""
        return {name: [process.pid] for name, process in self.groups.items()}

    def stop(self) -> None:
        """Ends them; who works first."""
        for process in reversed(self.groups.values()):
            process.stop()


def start(env: dict[str, str], folder: Path, workers: int = os.cpu_count() or 1) -> Background:
    """Starts all of it beside a running peer (a), whose settings are `env`. Raises `NotReady`."""
    engine = create_engine(env["PEER_DATABASE_URL"].replace("+asyncpg", "+psycopg", 1))
    Base.metadata.create_all(engine, tables=_TABLES)
    engine.dispose()
    home = homes.Home(folder)
    home.create()
    port, mail_port = free_port(), free_port()
    part = valkey.part(home, PASSWORD, port)
    made: dict[str, Process] = {}
    background = Background(made, home.mail)
    try:
        made["valkey"] = Process([*part.command, *_KEPT, "--dir", str(home.run)], home.logs / "valkey.log")
        sink = ("deploy.local.components.mail_sink", str(mail_port), str(home.mail))
        made["mail sink"] = Process.python(*sink, log=home.logs / "mail.log", env={"WEFT_MAIL_PASSWORD": PASSWORD})
        made["valkey"].wait_for(f"127.0.0.1:{port}")
        made["mail sink"].wait_for(f"127.0.0.1:{mail_port}")
        env = {
            **env,
            "PEER_VALKEY_URL": valkey.url(PASSWORD, port),
            "PEER_MAIL_PORT": str(mail_port),
            "PEER_MAIL_PASSWORD": PASSWORD,
        }
        command = [sys.executable, "-m", "taskiq", "worker", f"{_PACKAGE}.tasks:broker", "--workers", str(workers)]
        made["workers"] = Process(
            [*command, "--max-async-tasks", TASKS, "--log-level", "WARNING"], home.logs / "workers.log", env
        )
        made["relay"] = Process.python(f"{_PACKAGE}.relay", log=home.logs / "relay.log", env=env)
        made["relay"].wait_until_logged("relaying", 1)
        made["workers"].wait_until_logged("working", workers)
    except BaseException:
        background.stop()
        raise
    return background
