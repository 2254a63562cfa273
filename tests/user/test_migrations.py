"""The migrations make what the models say."""

import warnings

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import SAWarning
from sqlalchemy.pool import NullPool

from chassis.storage import database
from services.user.tables import metadata


def test_a_migrated_database_is_what_the_models_say(postgres_url, service_database) -> None:
    url = database.of_service(postgres_url, service_database("user"), "user")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type 'xid8'", SAWarning)  # looked at below
        context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        # What the comparison passes over.
        checks = connection.exec_driver_sql(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
        ).scalars()
        assert sorted(checks) == ["clients_mode", "partners_state", "users_state"]
        xids = connection.exec_driver_sql(
            "SELECT attrelid::regclass || '.' || attname FROM pg_attribute WHERE atttypid = 'xid8'::regtype "
            "AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r')"
        ).scalars()
        assert list(xids) == ["revocations.xid"]
        unique = connection.exec_driver_sql(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indnullsnotdistinct ORDER BY 1"
        ).scalars()
        assert list(unique) == ["users_email", "users_external_reference"]
