"""Statements of a transaction that are left for later, on real PostgreSQL."""

import psycopg
import pytest

from chassis.storage.database import Database, Query

_PUT = Query("INSERT INTO notes (number) VALUES (%(number)s)")
_ALL = Query("SELECT number FROM notes ORDER BY number")


@pytest.fixture
async def notes(database: Database) -> Database:
    await database.run(Query("CREATE TABLE notes (number integer PRIMARY KEY)"))
    return database


async def test_what_is_left_for_later_runs_before_the_next_statement_or_the_commit(notes: Database) -> None:
    async with notes.transaction() as tx:
        tx.run_later(_PUT, number=1)
        tx.run_later(_PUT, number=2)
        assert [row.number for row in await tx.all(_ALL)] == [1, 2]
        tx.run_later(_PUT, number=3)
    assert [row.number for row in await notes.all(_ALL)] == [1, 2, 3]


@pytest.mark.parametrize("more", [True, False])
async def test_its_error_is_its_own_and_undoes_the_transaction(notes: Database, more: bool) -> None:
    async def put_twice() -> None:
        async with notes.transaction() as tx:
            await tx.run(_PUT, number=1)
            tx.run_later(_PUT, number=1)
            tx.run_later(_PUT, number=2)
            if more:
                await tx.all(_ALL)

    with pytest.raises(psycopg.errors.UniqueViolation):
        await put_twice()
    assert await notes.all(_ALL) == []
