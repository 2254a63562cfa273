"""The migrations make what the models say."""

import warnings

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import SAWarning
from sqlalchemy.pool import NullPool

from chassis.storage import database
from services.order.tables import metadata

_CONSTRAINTS = (
    "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid::regclass::text <> 'alembic_version' "
    "UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' "
    "UNION ALL SELECT relname || ' ' || reloptions::text FROM pg_class WHERE reloptions IS NOT NULL "
    "AND relnamespace = 'public'::regnamespace "
    "UNION ALL SELECT table_name || '.' || column_name || ' ' || data_type || coalesce(' ' || column_default, '') "
    "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1"
)


def test_a_migrated_database_is_what_the_models_say(postgres_url, service_database) -> None:
    url = database.of_service(postgres_url, service_database("order"), "order")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type 'xid8'", SAWarning)  # compared below
        context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_both_make_the_same_constraints_indexes_and_types(postgres_url, service_database) -> None:
    """What the comparison above does not look at: checks, conditions, expressions, fill factors, `xid8`."""
    migrated = database.of_service(postgres_url, service_database("order"), "order")
    with psycopg.connect(migrated) as connection:
        found = connection.execute(_CONSTRAINTS).fetchall()
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", prepare=False)
        connection.commit()
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(migrated), poolclass=NullPool)
        metadata.create_all(engine)
        assert connection.execute(_CONSTRAINTS).fetchall() == found
    assert len(found) > 80
