"""Roles of each service's own: what one may do, and what it may not."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chassis.storage import migrations
from deploy.local.aside.providing import provide
from deploy.local.components.databases import Databases
from deploy.local.failures import MeshError
from deploy.local.state import credentials
from services.order import tables

FOLDER = Path(str(tables.__file__)).parent / "migrations"
SERVICES = ("order", "user")


@pytest.fixture
def prefix(postgres_url: str) -> Iterator[str]:
    """A prefix of the test's own; its databases and roles go with it."""
    chosen = f"p{secrets.token_hex(4)}"
    yield chosen
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        for service in SERVICES:
            connection.execute(f"DROP DATABASE IF EXISTS {chosen}_{service} WITH (FORCE)")
            for role in (f"{chosen}_{service}", f"{chosen}_{service}_owner"):
                connection.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.fixture
def databases(postgres_url: str, prefix: str, tmp_path: Path) -> Databases:
    """Not provided yet."""
    return Databases(postgres_url, prefix, credentials.load(tmp_path / "secrets.json", SERVICES))


def _migrated(databases: Databases) -> tuple[str, str]:
    """The URLs of order's owner and server, after a start."""
    name = databases.name("order")
    provide(databases, SERVICES)
    owner = make_conninfo(databases.owner_url("order"), dbname=name)
    migrations.migrate(owner, FOLDER, tables.metadata)
    migrations.grant(owner, name, tables.metadata)
    return owner, make_conninfo(databases.serving_url("order"), dbname=name)


def test_who_serves_changes_rows_and_nothing_else(databases: Databases) -> None:
    _, serving = _migrated(databases)
    with psycopg.connect(serving, autocommit=True) as connection:
        connection.execute("INSERT INTO outbox (kind, payload, due, created_at) VALUES ('k', '', now(), now())")
        assert connection.execute("DELETE FROM outbox").rowcount == 1
        for statement in (
            "CREATE TABLE mine (id int)",
            "DROP TABLE orders",
            "ALTER TABLE orders ADD COLUMN mine int",
            "TRUNCATE orders",
            "CREATE ROLE mine",
            "CREATE DATABASE mine",
            "SELECT rolpassword FROM pg_authid",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_nobody_opens_the_database_of_another_service(databases: Databases) -> None:
    _migrated(databases)
    for url in (databases.serving_url("order"), databases.owner_url("order")):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url, dbname=databases.name("user"))


def test_tables_of_a_later_migration_are_open_to_who_serves(databases: Databases) -> None:
    owner, serving = _migrated(databases)
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY, said text)")
    with psycopg.connect(serving) as connection:
        assert connection.execute("INSERT INTO later (said) VALUES ('x')").rowcount == 1


def test_the_release_before_leaves_schema_and_rights_of_the_one_that_is_undone(databases: Databases, commands) -> None:
    owner, serving = _migrated(databases)
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE TABLE written_once (said text)")
        connection.execute(f"REVOKE UPDATE, DELETE ON written_once FROM {databases.name('order')}")
        connection.execute("UPDATE alembic_version SET version_num = '9001'")

    prefix = databases.name("order").removesuffix("_order")
    env = {
        "WEFT_ENVIRONMENT": "development",
        "WEFT_DATABASE_URL": databases.owner_url("order"),
        "WEFT_DATABASE_PREFIX": prefix,
        "WEFT_SERVING_ROLE": databases.name("order"),
        "WEFT_TLS": "off",
        "WEFT_DATA_KEYS": json.dumps({"k1": "A" * 43 + "="}),
    }
    done = commands.run("order", "migrate", env=env)

    assert done.returncode == 0, done.stderr
    assert '"schema_is_newer"' in done.stderr
    with psycopg.connect(owner) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9001",)]
    with psycopg.connect(serving) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM written_once")


def test_the_tables_of_an_older_mesh_are_handed_over(databases: Databases, postgres_url: str) -> None:
    name = databases.name("order")
    migrations.migrate(make_conninfo(postgres_url, dbname=name), FOLDER, tables.metadata)
    _, serving = _migrated(databases)
    with psycopg.connect(serving) as connection:
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert owners == [(databases.owner("order"),)]
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_it_is_safe_to_repeat_with_other_passwords(
    databases: Databases, postgres_url: str, prefix: str, tmp_path: Path
) -> None:
    _migrated(databases)
    again = Databases(postgres_url, prefix, credentials.load(tmp_path / "others.json", SERVICES))
    _, serving = _migrated(again)
    psycopg.connect(serving).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(databases.serving_url("order"), dbname=databases.name("order"))


def test_a_role_that_may_not_make_roles_is_told_what_it_lacks(
    databases: Databases, postgres_url: str, prefix: str, tmp_path: Path
) -> None:
    provide(databases, ["user"])
    poor = Databases(databases.owner_url("user"), prefix, credentials.load(tmp_path / "s.json", SERVICES))
    with pytest.raises(MeshError, match=r"may create roles and databases \(ALTER ROLE … CREATEROLE CREATEDB\)"):
        provide(poor, ["order"])


def test_a_role_that_may_make_both_is_enough(
    databases: Databases, postgres_url: str, prefix: str, tmp_path: Path
) -> None:
    maker = f"{prefix}_maker"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {maker} LOGIN CREATEROLE CREATEDB PASSWORD 'maker'")
    url = make_conninfo(postgres_url, user=maker, password="maker")
    try:
        _, serving = _migrated(Databases(url, prefix, credentials.load(tmp_path / "s.json", SERVICES)))
        psycopg.connect(serving).close()
    finally:
        with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
            for service in SERVICES:
                connection.execute(f"DROP DATABASE IF EXISTS {prefix}_{service} WITH (FORCE)")
                for role in (f"{prefix}_{service}", f"{prefix}_{service}_owner"):
                    connection.execute(f"DROP ROLE IF EXISTS {role}")
            connection.execute(f"DROP ROLE {maker}")
