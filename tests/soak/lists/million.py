"""A database with a million orders in it, made by SQL; its indexes are made when the rows are there."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import namedtuple_row

from chassis.storage import database

PARTNER = "prt_01k00000000000000000000000"
CUSTOMER = "usr_01k00000000000000000000000"
"""Of two thirds of all orders, and of one in 97."""
_LETTERS = """
CREATE FUNCTION letters(ms bigint) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> shift & 31)::int + 1, 1), '' ORDER BY shift DESC)
    FROM generate_series(0, 45, 5) shift $$
"""
# One every half minute. Most are delivered and paid; the newest still move; some states are rare.
_ORDERS = """
INSERT INTO orders (order_id, customer_id, partner_id, currency, total_minor, state, payment_id, payment_state, fulfilment_state,
                    external_reference, note, order_number, created_at, updated_at)
SELECT 'ord_' || made, CASE WHEN n %% 97 = 0 THEN %(customer)s ELSE 'usr_01k' || lpad((n %% 9973)::text, 23, '1') END,
       CASE WHEN n %% 3 > 0 THEN %(partner)s ELSE '' END, 'EUR', 3600,
       CASE WHEN n %% 1000 = 7 THEN 'PENDING' WHEN n %% 20 = 3 THEN 'CANCELLED' WHEN n %% 100 = 9 THEN 'EXPIRED'
            WHEN n > %(count)s * 0.97 THEN 'CONFIRMED' ELSE 'COMPLETED' END,
       'pay_' || made,
       CASE WHEN n %% 1000 = 7 THEN 'FAILED' WHEN n %% 20 = 3 THEN 'VOIDED' WHEN n %% 100 = 9 THEN 'FAILED'
            WHEN n %% 5000 = 1 THEN 'CHARGED_BACK' WHEN n %% 50 = 1 THEN 'REFUNDED' ELSE 'CAPTURED' END,
       CASE WHEN n %% 1000 = 7 OR n %% 20 = 3 OR n %% 100 = 9 THEN 'UNFULFILLED' WHEN n > %(count)s * 0.99 THEN 'UNFULFILLED'
            WHEN n > %(count)s * 0.97 THEN 'SHIPPED' WHEN n %% 50 = 1 THEN 'RETURNED' ELSE 'DELIVERED' END,
       CASE WHEN n %% 4 = 0 THEN 'ref ' || n ELSE '' END, 'as usual', lpad(n::text, 14, '0'), at, at
  FROM (SELECT n, at, letters((extract(epoch FROM at) * 1000)::bigint) || lpad(n::text, 16, '0') AS made
          FROM (SELECT n, date_trunc('milliseconds', now()) - (%(count)s - n) * interval '30 seconds' AS at
                  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n) numbered) named
"""
_LINES = """
INSERT INTO order_lines (order_id, line, product_id, title, quantity, unit_price_minor)
SELECT order_id, line, 'prd_01k00000000000000000000000', 'An article', line, 1200
  FROM orders CROSS JOIN generate_series(1, 2) line
"""
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
 WHERE tablename = 'orders' AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'orders'::regclass)
"""
_CHUNK = 100_000


@contextmanager
def filled(server: str, template: str, prefix: str, count: int) -> Iterator[psycopg.Connection]:
    """The service's database below `prefix`, a clone of `template`, with `count` orders; dropped at the end."""
    with psycopg.connect(server, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {prefix}_order TEMPLATE {template}".encode())
        try:
            url = database.of_service(server, prefix, "order")
            with psycopg.connect(url, autocommit=True, row_factory=namedtuple_row) as connection:
                _fill(connection, count)
                yield connection
        finally:
            admin.execute(f"DROP DATABASE {prefix}_order WITH (FORCE)".encode())


def _fill(connection: psycopg.Connection, count: int) -> None:
    indexes = connection.execute(_INDEXES).fetchall()
    for index in indexes:
        connection.execute(f"DROP INDEX {index.indexname}".encode())
    connection.execute(_LETTERS)
    for first in range(1, count + 1, _CHUNK):
        values = {"first": first, "last": min(count, first + _CHUNK - 1), "count": count}
        connection.execute(_ORDERS, {**values, "partner": PARTNER, "customer": CUSTOMER})
    connection.execute(_LINES)
    for index in indexes:
        connection.execute(index.indexdef.encode())
    connection.execute("VACUUM ANALYZE")
