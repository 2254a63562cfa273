"""The migrations make what the models say."""

import secrets
import shutil
import warnings

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine
from sqlalchemy.exc import SAWarning
from sqlalchemy.pool import NullPool

from chassis.storage import database, migrations
from services.notification.__main__ import MIGRATIONS
from services.notification.tables import metadata


def test_a_migrated_database_is_what_the_models_say(postgres_url, service_database) -> None:
    url = database.of_service(postgres_url, service_database("notification"), "notification")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Did not recognize type 'xid8'", SAWarning)  # looked at below
        context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        found = connection.exec_driver_sql(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'deliveries_state'"
        )
        check = found.scalar_one()
        xids = connection.exec_driver_sql(
            "SELECT attrelid::regclass || '.' || attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "WHERE atttypid = 'xid8'::regtype AND relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        assert sorted(xids.scalars()) == ["notifications.shown_xid", "partner_events.xid"]
    for state in ("QUEUED", "SENDING", "SENT", "FAILED", "SKIPPED"):
        assert state in check


def test_rows_with_the_old_names_keep_what_makes_them_unique(postgres_url, tmp_path) -> None:
    before = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, before)
    for later in (before / "versions").glob("*.py"):
        if later.name >= "0003":
            later.unlink()
    name = f"t{secrets.token_hex(4)}_notification"
    url = make_conninfo(postgres_url, dbname=name)
    migrations.migrate(url, before, metadata)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO observations (kind, key, payload, due, created_at) "
            "VALUES ('tell_of_expiry', 'evt_1/tell_of_expiry', '', now(), now())"
        )
        connection.execute(
            "INSERT INTO notifications (notification_id, event_id, observer, user_id, type, subject_id, facts, in_inbox, "
            "create_time) VALUES ('ntf_1', 'evt_1', 'tell_of_expiry', 'usr_1', 'order.expired', 'ord_1', '{\"a\": 1}', true, now())"
        )
        connection.execute(
            "INSERT INTO deliveries (delivery_id, notification_id, channel, state, reason, create_time, update_time) "
            "VALUES ('dlv_1', 'ntf_1', 'EMAIL', 'FAILED', 'TRIED_TOO_OFTEN', now(), now())"
        )
    migrations.migrate(url, MIGRATIONS, metadata)
    with psycopg.connect(url) as connection:
        jobs = connection.execute("SELECT kind, key FROM event_jobs").fetchall()
        notifications = connection.execute("SELECT observer, data FROM notifications").fetchall()
        deliveries = connection.execute("SELECT reason FROM deliveries").fetchall()
        old = connection.execute("SELECT relname FROM pg_class WHERE relname ~ '^(observations|mails)'").fetchall()
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert jobs == [("notify_order_expired", "evt_1/notify_order_expired")]
    assert notifications == [("notify_order_expired", {"a": 1})]
    assert deliveries == [("TOO_MANY_ATTEMPTS",)]
    assert old == []
