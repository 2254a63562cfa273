"""Orders of two years that are there already, made by SQL: as many as one says, of as many people and products.

What is made follows from the numbers, so that Python knows the ids that SQL makes, and services agree on them. The books are consistent:
payments, their movements and refunds sum up, and each order has its changes; the sandbox's own books begin 30 days ago.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import psycopg

from bench.stored import statements
from bench.stored.statements import TableOf
from chassis import ids

TWO_YEARS_MS = 2 * 365 * 86_400_000
_TELL_S = 2.0
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
 WHERE tablename = %s AND schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


@dataclass(frozen=True)
class Stored:
    """What there is. Two thirds of people and orders are the partner's; the customer `regular` has one order in `every`."""

    orders: int
    people: int
    products: int
    partner: str
    regular: str
    now_ms: int
    every: int = 9973

    def order(self, number: int) -> str:
        """The id of an order; they are numbered from 1, the oldest first."""
        return self._id("ord", number, self.orders)

    def person(self, number: int) -> str:
        """The id of a person; the partner's have numbers that are no multiple of 3."""
        return self._id("usr", number, self.people)

    def product(self, number: int) -> str:
        """The id of a product."""
        return self._id("prd", number, self.products)

    def _id(self, prefix: str, number: int, count: int) -> str:
        made = self.now_ms - (count - number) * (TWO_YEARS_MS // count)
        return f"{prefix}_{ids.encode(made << 80)[:10]}{number:016d}"

    @property
    def values(self) -> dict[str, Any]:
        """As the statements take them."""
        steps = {f"{name}_step": TWO_YEARS_MS // getattr(self, name) for name in ("orders", "people", "products")}
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, **steps}


def fill_orders(url: str, stored: Stored, say: Callable[[str], None]) -> int:
    """Makes all that the order service has of the orders, in place of what it has: the bytes of its database. Products join others.

    A table is emptied, filled and indexed in one transaction: PostgreSQL then keeps no log of it, and freezes its rows as they come.
    """
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as source, psycopg.connect(url) as target:
        source.execute("SET max_parallel_workers_per_gather = 0")
        target.execute("SET maintenance_work_mem = '512MB'")
        source.execute(statements.PRODUCTS, stored.values)
        for table in statements.ORDER_TABLES:
            _fill(source, target, table, stored, say)
        target.execute("ANALYZE")
        target.commit()
        # Or the checkpoint would fall into what is measured.
        source.execute("CHECKPOINT")
        (size,) = source.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
    took = time.monotonic() - began
    say(f"  {stored.orders:,} orders: {size / 1e9:.1f} GB, {size / stored.orders:,.0f} bytes an order, in {took:.0f} s")
    return int(size)


def fill_people(url: str, stored: Stored, say: Callable[[str], None]) -> None:
    """Makes the people in the user service's database, like the customer `regular` in all but their ids and addresses."""
    with psycopg.connect(url) as connection, _telling(say) as doing:
        doing(f"{stored.people:,} people")
        connection.execute(statements.PEOPLE, stored.values)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE users")
        connection.execute("CHECKPOINT")


def _fill(
    source: psycopg.Connection, target: psycopg.Connection, table: TableOf, stored: Stored, say: Callable[[str], None]
) -> None:
    indexes = target.execute(_INDEXES, [table.name]).fetchall()
    with _telling(say) as doing, source.cursor() as reading, target.cursor() as writing:
        target.execute(f"TRUNCATE {table.name}".encode())
        for name, _ in indexes:
            target.execute(f"DROP INDEX {name}".encode())
        select = psycopg.ClientCursor(source).mogrify(table.select, stored.values)
        into = f"COPY {table.name} ({table.columns}) FROM STDIN (FORMAT BINARY, FREEZE)"
        size = 0
        with (
            reading.copy(f"COPY ({select}) TO STDOUT (FORMAT BINARY)".encode()) as rows,
            writing.copy(into.encode()) as copy,
        ):
            for number, row in enumerate(rows):
                copy.write(row)
                size += len(row)
                if number % 50_000 == 0:
                    doing(f"{table.name}: {number:,} rows, {size / 1e6:,.0f} MB")
        for number, (name, definition) in enumerate(indexes, 1):
            doing(f"{table.name}: index {name}, {number} of {len(indexes)}")
            target.execute(definition.encode())
        doing(f"{table.name}: to the disk")
        target.commit()


@contextmanager
def _telling(say: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Takes what is being done, and says it every two seconds while it lasts."""
    ended, now = threading.Event(), [""]

    def tell() -> None:
        began = time.monotonic()
        while not ended.wait(_TELL_S):
            say(f"  {now[0]} ({time.monotonic() - began:.0f} s)")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield lambda what: now.__setitem__(0, what)
    finally:
        ended.set()
        thread.join()
