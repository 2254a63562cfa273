"""Retention: every table says something, what it says is documented, and deleting keeps up with what is written."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, MetaData, Table, create_engine

import contract
from chassis.clock import FixedClock
from chassis.storage import database, retention
from chassis.storage.database import Database, Query
from chassis.storage.retention import Expiry, Sweep
from chassis.telemetry.tracing import Tracer

SERVICES = sorted({package.split(".")[1] for package in contract.load().packages})
RUNNING_MD = Path(__file__).parents[3] / "docs" / "running.md"
METADATA = MetaData()
Table(
    "notes",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Index("notes_ends_at", "ends_at"),
    info=retention.delete(Expiry("ends_at", timedelta(days=1))),
)
COUNT = Query("SELECT count(*) AS n FROM notes")


@pytest.fixture
async def opened(postgres_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    name = f"retention_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.make_conninfo(postgres_url, dbname=name)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    METADATA.create_all(engine)
    engine.dispose()
    opened = Database(url, 4, Tracer(None, 0))
    await opened.open()
    yield opened
    await opened.close()


async def fill(opened: Database, old: int, young: int, clock: FixedClock) -> None:
    insert = Query("INSERT INTO notes (ends_at) SELECT %(time)s FROM generate_series(1, %(count)s)")
    await opened.run(insert, time=clock.now() - timedelta(days=1, seconds=1), count=old)
    await opened.run(insert, time=clock.now() - timedelta(hours=23), count=young)


async def test_one_sweep_deletes_a_backlog_of_many_batches_and_nothing_else(
    opened: Database, clock: FixedClock
) -> None:
    await fill(opened, 1_050, 7, clock)
    sweep = Sweep(opened, METADATA, clock, batch=100)
    assert await sweep.run() == {"notes": 1_050}
    assert (await opened.one(COUNT)).n == 7
    assert await sweep.run() == {}


async def test_a_sweep_ends_with_its_time_and_the_next_one_goes_on(opened: Database, clock: FixedClock) -> None:
    await fill(opened, 250, 0, clock)
    sweep = Sweep(opened, METADATA, clock, batch=100, budget=0)
    assert [await sweep.run() for _ in range(4)] == [{"notes": 100}, {"notes": 100}, {"notes": 50}, {}]


async def test_rows_that_another_replica_deletes_are_skipped_and_not_waited_for(
    opened: Database, clock: FixedClock
) -> None:
    await fill(opened, 250, 0, clock)
    (table,) = METADATA.sorted_tables
    statement = retention.query(table, Expiry("ends_at", timedelta(days=1)), 100)
    async with opened.transaction() as tx:
        assert await tx.run(statement, before=clock.now()) == 100
        assert await Sweep(opened, METADATA, clock, batch=100).run() == {"notes": 150}
    assert (await opened.one(COUNT)).n == 0


async def test_a_table_that_fails_does_not_stop_the_others(opened: Database, clock: FixedClock) -> None:
    both = MetaData()
    Table("gone", both, Column("ends_at", DateTime(timezone=True)), info=retention.delete(Expiry("ends_at")))
    METADATA.tables["notes"].to_metadata(both)
    await fill(opened, 3, 0, clock)
    assert await Sweep(opened, both, clock).run() == {"notes": 3}


@pytest.mark.parametrize("service", SERVICES)
def test_every_rule_finds_its_rows_by_an_index(service: str, postgres_url: str, service_database) -> None:
    metadata = import_module(f"services.{service}.tables").metadata
    url = database.of_service(postgres_url, service_database(service), service)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = force_generic_plan")
        for table in metadata.sorted_tables:
            said = retention.of(table)
            rules = said if isinstance(said, tuple) else ()
            for number, rule in enumerate(rule for rule in rules if isinstance(rule, Expiry)):
                kind = "text" if rule.id_prefix else "timestamptz"
                prepared = f"expire_{table.name}_{number}"
                sql = retention.query(table, rule).sql.replace("%(before)s", "$1")
                connection.execute(f"PREPARE {prepared} ({kind}) AS {sql}")
                plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN EXECUTE {prepared} (NULL)"))
                assert re.search(r"Index (Only )?Scan using \w+ on", plan), plan
                assert "Seq Scan" not in plan, plan
                assert "Sort" not in plan, plan
                assert "Tid Scan" in plan, plan


def test_a_table_that_says_nothing_is_refused_with_what_to_write() -> None:
    table = Table("silent", MetaData(), Column("id", BigInteger, primary_key=True))
    with pytest.raises(ValueError, match=r"rows of silent are kept: info=retention\.delete"):
        Sweep(None, table.metadata, FixedClock(None))  # type: ignore[arg-type]


def test_the_operators_documentation_says_what_the_tables_say() -> None:
    expected = [
        f"| {service} | `{table}` | {said} |"
        for service in SERVICES
        for table, said in retention.document(import_module(f"services.{service}.tables").metadata)
    ]
    section = RUNNING_MD.read_text().partition("## How long data is kept")[2].partition("\n## ")[0]
    written = [line for line in section.splitlines() if line.startswith(tuple(f"| {service} " for service in SERVICES))]
    assert written == expected, "Write into docs/running.md:\n" + "\n".join(expected)
