"""The migrations make what the models say."""

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.storage import database
from services.notification.tables import metadata


def test_a_migrated_database_is_what_the_models_say(postgres_url, service_database) -> None:
    url = database.of_service(postgres_url, service_database("notification"), "notification")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        found = connection.exec_driver_sql(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'deliveries_state'"
        )
        check = found.scalar_one()
    for state in ("QUEUED", "SENDING", "SENT", "FAILED", "SKIPPED"):
        assert state in check
