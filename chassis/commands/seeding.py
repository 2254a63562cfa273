"""Fills tables with made-up rows by COPY, for trials and measurements: `python -m services.<name> seed COUNT`.

What is made follows from the name of the run and the number of a row, so that services agree on ids without asking one
another: the order service's seed places orders of the customers that the user service's seed has made.
"""

import argparse
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table

from chassis import ids
from chassis.settings import Settings, SettingsError

BATCH = 5_000
"""Rows of the first table in a transaction: what is committed is whole, wherever the command is broken off."""
OLDEST, NEWEST = timedelta(days=400), timedelta(days=3)
"""Between these ages everything was made, evenly: no job of the present looks at it."""
Rows = Mapping[Table, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run makes. Rows are numbered from 0."""

    run: str
    count: int
    now: datetime

    def time(self, number: int) -> datetime:
        """When row `number` was made."""
        oldest = self.now - OLDEST
        return oldest + (OLDEST - NEWEST) * ((number + 1) / (self.count + 1))

    def id(self, prefix: str, number: int) -> str:
        """The id of a thing of row `number`: the same in every service for the same run, count and time."""
        random = hashlib.blake2b(f"{self.run}:{prefix}:{number}".encode(), digest_size=10).digest()
        return ids.new(prefix, self.time(number), random)

    def draw(self, number: int, most: int, what: str = "") -> int:
        """A number from 0 to below `most`, made up for row `number`."""
        return int.from_bytes(hashlib.blake2b(f"{self.run}:{what}:{number}".encode(), digest_size=8).digest()) % most


@dataclass(frozen=True, slots=True)
class Wish:
    """The words of the command."""

    plan: Plan
    customers: Plan
    """The plan of the run's customers, which may be none."""


def read(settings: Settings, now: datetime, words: Sequence[str]) -> Wish:
    """Read the words of `seed`. Raises `SettingsError` in production, and for words that it does not know."""
    if settings.environment == "production":
        raise SettingsError(
            "seed fills the database with made-up data; WEFT_ENVIRONMENT is production, so it does not."
        )
    parser = argparse.ArgumentParser(prog="seed")
    parser.add_argument("count", type=_count, help="how many to make")
    parser.add_argument("--run", default=secrets.token_hex(4), help="the run's name; the same in every service")
    parser.add_argument("--at", type=datetime.fromisoformat, default=now, help="the run's time (ISO 8601)")
    parser.add_argument("--customers", type=_count, default=0, help="how many customers the run has made")
    given = parser.parse_args(list(words))
    return Wish(Plan(given.run, given.count, given.at), Plan(given.run, given.customers, given.at))


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 100_000_000:
        raise argparse.ArgumentTypeError("say a number from 0 to 100000000")
    return number


async def fill(
    url: str, plan: Plan, what: str, rows: Callable[[Iterable[int]], Rows], *, tables: Sequence[Table]
) -> AsyncIterator[str]:
    """Write the rows of every number, batch after batch; yields the progress. `rows` makes those of some numbers."""
    began = shown = monotonic()
    async with await psycopg.AsyncConnection.connect(url) as connection, _once(plan):
        for start in range(0, plan.count, BATCH):
            end = min(start + BATCH, plan.count)
            for table, made in rows(range(start, end)).items():
                await _copy(connection, table, made)
            await connection.commit()
            if end == plan.count or monotonic() - shown > 1:
                shown = monotonic()
                yield f"{end:,} of {plan.count:,} {what} ({end / max(shown - began, 0.001):,.0f}/s)"
        await connection.set_autocommit(True)
        for table in tables:
            await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table.name)))


@asynccontextmanager
async def _once(plan: Plan) -> AsyncIterator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation:
        raise SettingsError(f"The run {plan.run} has been made already, or in part: name another, or none.") from None


async def _copy(connection: psycopg.AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    names = list(rows[0])
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row([row[name] for name in names])
