"""A database for each service, with two roles: one owns it and migrates, the other one serves and may change rows only.

The role of the mesh's own URL makes them and is handed to no service: what one service holds opens nothing of another's.
"""

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chassis import postgres
from deploy.local.failures import MeshError
from deploy.local.state.credentials import Credentials

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> %s"


class Databases:
    """The databases of one mesh on the server of `url`; `prefix` is before the name of each."""

    def __init__(self, url: str, prefix: str, secrets: Credentials) -> None:
        self._url = url
        self._prefix = prefix
        self._secrets = secrets

    def name(self, service: str) -> str:
        """The service's database, and the role that serves from it."""
        return f"{self._prefix}_{service}"

    def owner(self, service: str) -> str:
        """The role that owns the database and its tables."""
        return f"{self._prefix}_{service}_owner"

    def serving_url(self, service: str) -> str:
        """What the service's replicas connect with."""
        return make_conninfo(
            self._url, user=self.name(service), password=self._secrets.serving_password(service), dbname=None
        )

    def owner_url(self, service: str) -> str:
        """What the service's migrations connect with."""
        return make_conninfo(
            self._url, user=self.owner(service), password=self._secrets.owner_password(service), dbname=None
        )

    def provide(self, service: str) -> None:
        """Make the roles and the database, or put them right. Safe to repeat. Raises `MeshError`."""
        try:
            with psycopg.connect(self._url, dbname="postgres", autocommit=True) as connection:
                if fault := postgres.fault(connection.info.server_version):
                    raise MeshError(fault)
                self._roles(connection, service)
                self._database(connection, service)
            self._hand_over(service)
        except psycopg.errors.InsufficientPrivilege as error:
            raise MeshError(
                f"The role of WEFT_DATABASE_URL may not prepare {self.name(service)} ({error.diag.message_primary}): "
                "name one that may create roles and databases (ALTER ROLE … CREATEROLE CREATEDB)."
            ) from None
        except psycopg.OperationalError as error:
            raise MeshError(f"PostgreSQL refused the mesh: {str(error).strip().splitlines()[-1]}.") from None

    def _roles(self, connection: psycopg.Connection, service: str) -> None:
        passwords = {
            self.name(service): self._secrets.serving_password(service),
            self.owner(service): self._secrets.owner_password(service),
        }
        for role, password in passwords.items():
            found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            # Hashed here, so that no server log and no view of running statements has the password.
            hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            verb = sql.SQL("ALTER" if found else "CREATE")
            # PostgreSQL 15 gives an owner its schema by a role that it inherits, pg_database_owner.
            inherits = sql.SQL("INHERIT" if role == self.owner(service) else "NOINHERIT")
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
                    verb, sql.Identifier(role), inherits, sql.Literal(hashed)
                )
            )
        # Who makes a database for another role must be a member of it.
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(self.owner(service))))

    def _database(self, connection: psycopg.Connection, service: str) -> None:
        name, owner = sql.Identifier(self.name(service)), sql.Identifier(self.owner(service))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.name(service)]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(name, owner)
            )
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))

    def _hand_over(self, service: str) -> None:
        """Tables that an older release made belonged to the role of the mesh's URL."""
        with psycopg.connect(self._url, dbname=self.name(service), autocommit=True) as connection:
            for (table,) in connection.execute(_TABLES, [self.owner(service)]).fetchall():
                connection.execute(
                    sql.SQL("ALTER TABLE public.{} OWNER TO {}").format(
                        sql.Identifier(table), sql.Identifier(self.owner(service))
                    )
                )
