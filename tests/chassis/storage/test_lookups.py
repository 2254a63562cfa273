"""Rows that are asked for at once: each caller gets its own, or its own fault."""

import asyncio

import psycopg

from chassis.storage.database import Query
from chassis.storage.lookups import Lookup
from tests.harness import Harness

WORDS = Query(
    "SELECT w.n, w.word, w.owner FROM unnest(%(words)s::text[], %(owners)s::text[]) WITH ORDINALITY AS w(word, owner, n) "
    "WHERE w.word <> 'absent'"
)


async def test_each_key_finds_its_own_row(harness: Harness) -> None:
    database = harness.app("order").database
    await database.open()
    try:
        words = Lookup(database, WORDS, ("words", "owners"))
        asked = [("ink", "a"), ("absent", "a"), ("ink", "b"), ('"}, {\\', "b"), ("", "c")]

        found = await asyncio.gather(*(words.find(*key) for key in asked))
        all_ = await words.find_all(asked)

        expected = [None if key[0] == "absent" else key for key in asked]
        assert [row and (row.word, row.owner) for row in found] == expected
        assert [row and (row.word, row.owner) for row in all_] == expected
        assert await words.find("absent", "a") is None
    finally:
        await database.close()


async def test_a_key_that_no_row_can_have_is_refused_alone(harness: Harness) -> None:
    database = harness.app("order").database
    await database.open()
    try:
        words = Lookup(database, WORDS, ("words", "owners"))

        found = await asyncio.gather(
            *(words.find(word, "a") for word in ("ink", "i\0k", "oil")), return_exceptions=True
        )

        assert [row.word for row in (found[0], found[2])] == ["ink", "oil"]
        assert isinstance(found[1], psycopg.DataError)
    finally:
        await database.close()
