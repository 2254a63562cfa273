"""The alerts that need more than a switch: many calls, many jobs, forged events, a standby that takes nothing."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.servers import postgres
from tests.soak.alerts.load import Crowd
from tests.soak.alerts.trial import Trial, under_way

pytestmark = pytest.mark.soak
TOO_LONG = {"QueueIsLong", "RetentionIsBehind"}
RESOLVES = {"EdgeRefuses", "QueueIsLong", "ReplicaIsFull", "ReplicationIsBehind"}
"""Those that end soon after their cause; others look at the last quarter of an hour, or more."""
STREAMS, CALLERS = 16, 230
"""Streams of each account, as many as one may have; callers, more than an edge has calls open to one replica."""
JOBS = 60_000
MESSAGE = 8 << 20
"""Bytes of log at a time."""


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """A PostgreSQL that standbys can follow."""
    with postgres(folder / "followed", "wal_level=replica", "max_wal_senders=4", "max_wal_size=4GB") as url:
        yield url


@pytest.fixture
def trial(tmp_path: Path, server: str) -> Iterator[Trial]:
    with under_way(tmp_path, TOO_LONG, {"WEFT_DATABASE_URL": server}) as found:
        yield found


def test_alerts_of_crowds_fire_and_those_that_end_with_their_cause_resolve(trial: Trial, server: str) -> None:
    began = trial.turn(True, "books-differ", "order")  # compared once a day, five to ten minutes after the first start
    trial.turn(True, "retention-stops", "user")
    trial.turn(True, "queue-stalls", "notification")
    trial.turn(True, "calls-wait", "user")
    with psycopg.connect(server, dbname="weft_notification", autocommit=True) as database:
        database.execute(
            "INSERT INTO event_jobs (kind, key, payload, due, created_at)"
            " SELECT 'none', 'soak ' || n, '', now(), now() FROM generate_series(1, %s) n",
            [JOBS],
        )
        database.execute("SELECT pg_create_physical_replication_slot('standby', true)")
        for _ in range((1100 << 20) // MESSAGE):
            database.execute("SELECT pg_logical_emit_message(false, 'soak', repeat('x', %s))", [MESSAGE])
        with Crowd(trial.edge, trial.load.customers).there(STREAMS, CALLERS):
            trial.load.forge_events(15)
            trial.expect(began, ("EventsOfProvidersAreForged", "QueueIsLong", "EdgeRefuses"), 240)
            trial.expect(began, ("ReplicationIsBehind", "ReplicaIsFull"), 480)
        trial.turn(False, "calls-wait")
        database.execute("SELECT pg_drop_replication_slot('standby')")
        database.execute("DELETE FROM event_jobs WHERE kind = 'none'")
    trial.turn(False, "queue-stalls")
    trial.expect_end(RESOLVES, 240)
    trial.expect(began, ("BooksDiffer", "RetentionIsBehind"), 1500)
