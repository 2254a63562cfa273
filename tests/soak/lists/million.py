"""A database with a million orders in it, made by the seed of the bench."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import namedtuple_row

from bench.stored import seed
from chassis.storage import database

PARTNER = "prt_01k00000000000000000000000"
CUSTOMER = "usr_01k00000000000000000000000"
"""Of two thirds of all orders, and of one in 97."""


@contextmanager
def filled(server: str, template: str, prefix: str, count: int) -> Iterator[psycopg.Connection]:
    """The service's database below `prefix`, a clone of `template`, with `count` orders; dropped at the end."""
    made = seed.Stored(
        orders=count,
        people=30_000,
        products=1_000,
        partner=PARTNER,
        regular=CUSTOMER,
        now_ms=time.time_ns() // 1_000_000,
        every=97,
    )
    with psycopg.connect(server, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {prefix}_order TEMPLATE {template}".encode())
        try:
            url = database.of_service(server, prefix, "order")
            seed.fill_orders(url, made, print)
            with psycopg.connect(url, autocommit=True, row_factory=namedtuple_row) as connection:
                yield connection
        finally:
            admin.execute(f"DROP DATABASE {prefix}_order WITH (FORCE)".encode())
