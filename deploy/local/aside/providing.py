"""Makes the databases of services on the server of the mesh's URL."""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from chassis import postgres
from deploy.local.components.databases import Databases
from deploy.local.failures import MeshError

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> %s"


def provide(databases: Databases, services: Sequence[str]) -> None:
    """Make the roles and the databases of services, or put them right. Safe to repeat. Raises `MeshError`."""
    for service in services:
        _provide(databases, service)


def _provide(databases: Databases, service: str) -> None:
    try:
        with psycopg.connect(databases.url, dbname="postgres", autocommit=True) as connection:
            if fault := postgres.fault(connection.info.server_version):
                raise MeshError(fault)
            _make_roles(databases, connection, service)
            _make_database(databases, connection, service)
        _hand_over(databases, service)
    except psycopg.errors.InsufficientPrivilege as error:
        raise MeshError(
            f"The role of WEFT_DATABASE_URL may not prepare {databases.name(service)} ({error.diag.message_primary}): "
            "name one that may create roles and databases (ALTER ROLE … CREATEROLE CREATEDB)."
        ) from None
    except psycopg.OperationalError as error:
        raise MeshError(f"PostgreSQL refused the mesh: {str(error).strip().splitlines()[-1]}.") from None


def _make_roles(databases: Databases, connection: psycopg.Connection, service: str) -> None:
    for role, password in databases.passwords(service).items():
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        # Hashed here, so that no server log and no view of running statements has the password.
        hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
        verb = sql.SQL("ALTER" if found else "CREATE")
        # PostgreSQL 15 gives an owner its schema by a role that it inherits, pg_database_owner.
        inherits = sql.SQL("INHERIT" if role == databases.owner(service) else "NOINHERIT")
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(verb, sql.Identifier(role), inherits, sql.Literal(hashed))
        )
    # Who makes a database for another role must be a member of it.
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(databases.owner(service))))


def _make_database(databases: Databases, connection: psycopg.Connection, service: str) -> None:
    name, owner = sql.Identifier(databases.name(service)), sql.Identifier(databases.owner(service))
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [databases.name(service)]).fetchone():
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(name, owner)
        )
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def _hand_over(databases: Databases, service: str) -> None:
    """Tables that an older release made belonged to the role of the mesh's URL."""
    with psycopg.connect(databases.url, dbname=databases.name(service), autocommit=True) as connection:
        for (table,) in connection.execute(_TABLES, [databases.owner(service)]).fetchall():
            connection.execute(
                sql.SQL("ALTER TABLE public.{} OWNER TO {}").format(
                    sql.Identifier(table), sql.Identifier(databases.owner(service))
                )
            )
