"""Migrations: a command that runs once, before the replicas of a release start, and beside those of the release before.

Alembic's scripts, without its command line. What they may do in one step: docs/decisions/0066.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from chassis import postgres
from chassis.settings import SettingsError
from chassis.telemetry.logs import logger

log = logger("migrations")
_REVISION = re.compile(r'^revision(?:: str)? = "([^"]+)"', re.MULTILINE)
_DOWN_REVISION = re.compile(r'^down_revision(?:: [^=]+)? = "([^"]+)"', re.MULTILINE)
_CONNECT_TIMEOUT_S = 5
_ADVISORY_LOCK_KEY = 7_309_451_120_883
"""An arbitrary key: concurrent migrations and bootstraps of one database run one after another."""
_POLL_INTERVAL_S = 0.1
APPEND_ONLY = {"append_only": True}
"""In the `info` of a table whose rows the role that serves may read and add, and never change or delete."""
MAX_ATTEMPTS, RETRY_DELAY_S = 100, 0.2
"""Of a revision to lock its tables."""


def migrate(url: str, folder: Path, metadata: MetaData) -> bool:
    """Create the database of `url` where it is missing, and bring it to the newest revision in `folder`.

    A newer schema stays as it is: that of a release that is being undone, which the one before it serves on. Whether it was no newer.
    """
    _create_database(url)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.connect() as connection:
        # Asked again and again, not waited for: CREATE INDEX CONCURRENTLY waits for every statement that waits.
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK_KEY}).scalar():
            connection.commit()
            time.sleep(_POLL_INTERVAL_S)
        found, known = _revision(connection), head(folder)
        if found > known:
            log.warning("schema_is_newer", found=found, known=known)
            return False
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                _upgrade(connection, folder, metadata)
                break
            except DBAPIError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
                    raise
                connection.rollback()
                log.info("migration_waits", cause=type(error.orig).__name__)
                time.sleep(RETRY_DELAY_S)  # the calls that queued up behind it proceed
        else:
            _upgrade(connection, folder, metadata)
    log.info("migrated", revision=known)
    return True


def grant(url: str, role: str, metadata: MetaData) -> None:
    """Let the role that serves read and change rows, of these tables and of those to come, and nothing else.

    Tables that are `APPEND_ONLY` it may not change: at no moment, since grant and revocation are one transaction.
    """
    to = sql.Identifier(role)
    with psycopg.connect(url) as connection:
        name = sql.Identifier(str(connection.info.dbname))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, to))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(to))
        for kind, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT")):
            granted = sql.SQL(f"GRANT {rights} ON {{}} {kind} {{}} TO {{}}")
            connection.execute(granted.format(sql.SQL("ALL"), sql.SQL("IN SCHEMA public"), to))
            connection.execute(sql.SQL("ALTER DEFAULT PRIVILEGES ") + granted.format(sql.SQL(""), sql.SQL(""), to))
        for table in metadata.sorted_tables:
            if table.info.keys() & APPEND_ONLY.keys():
                revoked = sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {} FROM {}")
                connection.execute(revoked.format(sql.Identifier(table.name), to))


@asynccontextmanager
async def advisory_lock(url: str) -> AsyncIterator[None]:
    """Serialise a command that may be run concurrently, such as `bootstrap`. Released also when the process dies."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S
    ) as connection:
        while not await _try_lock(connection):  # noqa: ASYNC110  (another process holds it)
            await asyncio.sleep(_POLL_INTERVAL_S)
        yield


async def _try_lock(connection: psycopg.AsyncConnection[tuple[bool]]) -> bool:
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK_KEY])
    found = await cursor.fetchone()
    return found is not None and found[0]


async def check_reachable(url: str) -> None:
    """Connect once and report the server's error, where the pool would retry silently."""
    await (await psycopg.AsyncConnection.connect(url, connect_timeout=_CONNECT_TIMEOUT_S)).close()


def head(folder: Path) -> str:
    """The newest revision in `folder`: the one that no other builds on. Read as text, for every replica asks."""
    scripts = [file.read_text() for file in (folder / "versions").glob("*.py")]
    made = {found.group(1) for script in scripts if (found := _REVISION.search(script))}
    built_on = {found.group(1) for script in scripts if (found := _DOWN_REVISION.search(script))}
    return max(made - built_on, default="")


def _revision(connection: Connection) -> str:
    """What the database has; empty where it is new."""
    is_there = connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL")).scalar()
    found = connection.execute(text("SELECT max(version_num) FROM alembic_version")).scalar() if is_there else None
    connection.commit()
    return found or ""


def _upgrade(connection: Connection, folder: Path, metadata: MetaData) -> None:
    # Alembic takes a third of a service's start and 20 MB, and only this command needs it.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(config)
    environment = EnvironmentContext(config, script, fn=lambda revision, _: script._upgrade_revs("head", revision))
    # Whoever waits for a table's lock keeps all who come after from the table: so it waits for a moment only, and for a
    # shorter one than PostgreSQL takes to see a deadlock, of which a call could be the victim. Each revision by itself.
    connection.execute(text("SET lock_timeout = '300ms'"))
    connection.commit()
    with environment:
        environment.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with environment.begin_transaction():
            environment.run_migrations()
    connection.commit()


def _create_database(url: str) -> None:
    parts = conninfo_to_dict(url)
    name = str(parts.pop("dbname"))
    with psycopg.connect(**parts, dbname="postgres", autocommit=True) as connection:  # type: ignore[arg-type]
        if fault := postgres.fault(connection.info.server_version):
            raise SettingsError(fault)
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        try:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
            )
        except psycopg.errors.DuplicateDatabase:
            return  # another process was faster
        except psycopg.errors.UniqueViolation:
            return
