"""The insert of new orders: one statement for all orders of a batch, or for none.

It reserves stock, and inserts orders, lines, payments, first changes, idempotency records, events and payment jobs.
`CHECK (stock >= 0)` makes it all or nothing: for a product that is inactive, has another price than the buyer was shown,
or is out of stock, the statement computes a negative stock.
"""

from collections.abc import Sequence
from typing import NamedTuple

from weft.api.v1.event_pb2 import Event

from chassis.rpc.idempotency import Record
from chassis.storage import pg_arrays
from chassis.storage.batching import NotBatchable
from chassis.storage.database import Database, Query
from services.order.domain.new_order import NewOrder
from services.order.orders import document

STOCK_CONSTRAINT = "products_stock_not_negative"
"""Violated by an order when a product is out of stock, inactive or changed."""
NUMBER_CONSTRAINT = "orders_number"
"""Violated by an order whose number another one has."""
REFERENCE_CONSTRAINT = "orders_external_reference"
"""Violated by an order when its partner has used the external reference."""

# PostgreSQL runs the data-modifying parts in reverse order of writing, so products, which orders contend for, are locked
# last and for the shortest time; in the order of their ids, so that two statements never deadlock.
# `units` are taken from stock; `others` are of orders in TEST, which only need them to be there.
# Everything is read from `new`, so `settings` is evaluated first: a batch waits for a lock for 400 ms at most.
# any owner: anyone may order any product; the handler decides for which customer
_INSERT = Query(
    """
WITH settings AS MATERIALIZED (SELECT set_config('lock_timeout', '400ms', true)),
required AS MATERIALIZED (
  SELECT product_id, units, others, version
    FROM unnest(%(product_ids)s::text[], %(units)s::bigint[], %(others)s::bigint[], %(versions)s::bigint[])
      AS t(product_id, units, others, version)),
locked AS MATERIALIZED (
  SELECT product_id FROM products WHERE product_id = ANY(%(product_ids)s::text[]) ORDER BY product_id FOR NO KEY UPDATE),
reserved AS (
  UPDATE products p SET stock = CASE WHEN p.active AND p.version = required.version AND p.stock >= required.units + required.others
                                     THEN p.stock - required.units ELSE -1 END
    FROM locked JOIN required USING (product_id) WHERE p.product_id = locked.product_id),
new AS MATERIALIZED (
  SELECT key, fingerprint, reply, users, order_id, order_number, customer_id, partner_id, currency, total, state, version, payment_id,
         payment_state, method, capture_when, reference, note, actor, mode, address, charges, metadata, kind, event, traceparent, now
    FROM settings CROSS JOIN unnest(
    %(keys)s::bytea[], %(fingerprints)s::bytea[], %(replies)s::bytea[], %(users)s::text[], %(order_ids)s::text[], %(order_numbers)s::text[], %(customers)s::text[],
    %(partners)s::text[], %(currencies)s::text[], %(totals)s::bigint[], %(states)s::text[], %(order_versions)s::int[],
    %(payment_ids)s::text[], %(payment_states)s::text[], %(methods)s::text[], %(captures)s::text[], %(references)s::text[],
    %(notes)s::text[], %(actors)s::text[], %(modes)s::text[],
    %(addresses)s::bytea[], %(charges)s::jsonb[], %(metadata)s::jsonb[], %(kinds)s::text[], %(events)s::bytea[], %(traceparents)s::text[], %(times)s::timestamptz[]
  ) AS t(key, fingerprint, reply, users, order_id, order_number, customer_id, partner_id, currency, total, state, version, payment_id,
         payment_state, method, capture_when, reference, note, actor, mode, address, charges, metadata, kind, event, traceparent, now)),
recorded AS (
  INSERT INTO idempotency (id, fingerprint, reply, users, created_at) SELECT key, fingerprint, reply, users, now FROM new),
inserted AS (
  INSERT INTO orders (order_id, order_number, customer_id, partner_id, currency, total_minor, state, payment_id, payment_state,
                      external_reference, note, mode, shipping_address_sealed, charges, metadata, created_at, updated_at)
  SELECT order_id, order_number, customer_id, partner_id, currency, total, state, payment_id, payment_state, reference, note, mode,
         NULLIF(address, ''), charges, metadata, now, now
    FROM new),
lines AS (
  INSERT INTO order_lines (order_id, line, product_id, title, quantity, unit_price_minor, tax_minor)
  SELECT order_id, line, product_id, title, quantity, price, tax
    FROM unnest(%(line_orders)s::text[], %(line_numbers)s::int[], %(line_products)s::text[], %(line_titles)s::text[],
                %(line_quantities)s::int[], %(line_prices)s::bigint[], %(line_taxes)s::bigint[])
      AS t(order_id, line, product_id, title, quantity, price, tax)),
payment AS (
  INSERT INTO payments (payment_id, order_id, method, amount_minor, currency, state, capture_when, created_at, updated_at)
  SELECT payment_id, order_id, method, total, currency, payment_state, capture_when, now, now FROM new),
change AS (
  INSERT INTO order_changes (order_id, version, customer_id, partner_id, state, payment_state, reason, actor, mode, change,
                             changed_at)
  SELECT order_id, version, customer_id, partner_id, state, payment_state, '', actor, mode, kind, now FROM new),
job AS (
  INSERT INTO payment_work (kind, payload, traceparent, due, created_at)
  SELECT 'pay', convert_to(payment_id, 'UTF8'), traceparent, LEAST(now, now()), now FROM new)
INSERT INTO outbox (kind, payload, traceparent, due, created_at)
SELECT kind, event, traceparent, LEAST(now, now()), now FROM new
""",
    name="insert orders",
)
# Which products are locked by other transactions, and by which: `xmax` of a row is the one that holds it.
# any owner: it only says which rows are locked
_FIND_LOCKS = Query(
    """
WITH free AS MATERIALIZED (
  SELECT product_id FROM products WHERE product_id = ANY(%(product_ids)s::text[])
   ORDER BY product_id FOR NO KEY UPDATE SKIP LOCKED)
SELECT product_id, product_id || ' ' || xmax::text AS lock FROM products
 WHERE product_id = ANY(%(product_ids)s::text[]) AND product_id NOT IN (SELECT product_id FROM free)
""",
    name="find locked products",
)


class OrderInsert(NamedTuple):
    """An order to insert, the idempotency record of its call, and its first event. `address`: sealed; empty for none."""

    order: NewOrder
    record: Record
    event: Event
    traceparent: str
    address: bytes = b""


async def insert(database: Database, batch: Sequence[OrderInsert]) -> None:
    """Insert all orders or none.

    Raises `NotBatchable` if their buyers were shown different versions of a product, `CheckViolation` of
    `STOCK_CONSTRAINT`, and `UniqueViolation` of `REFERENCE_CONSTRAINT`, of `NUMBER_CONSTRAINT` or of the key.
    """
    orders = [item.order for item in batch]
    await database.run(_INSERT, **_products(orders), **_orders(orders), **_lines(orders), **_effects(batch))


async def find_locks(database: Database, batch: Sequence[OrderInsert]) -> list[list[str]]:
    """For each order, the locks of other transactions on its products."""
    products = {line.product_id for item in batch for line in item.order.lines}
    rows = await database.all(_FIND_LOCKS, product_ids=pg_arrays.names(products))
    locks = {row.product_id: row.lock for row in rows}
    return [[locks[line.product_id] for line in item.order.lines if line.product_id in locks] for item in batch]


def _products(orders: Sequence[NewOrder]) -> dict[str, str]:
    """The units required of each product, taken from stock or not, and the version that the buyers were shown."""
    units: dict[str, int] = {}
    others: dict[str, int] = {}
    versions: dict[str, int] = {}
    for order in orders:
        for line, version, reserves in zip(order.lines, order.product_versions, order.reserves, strict=True):
            product_id = line.product_id
            units[product_id] = units.get(product_id, 0) + (line.quantity if reserves else 0)
            others[product_id] = others.get(product_id, 0) + (0 if reserves else line.quantity)
            if versions.setdefault(product_id, version) != version:
                raise NotBatchable
    return {
        "product_ids": pg_arrays.names(units),
        "units": pg_arrays.numbers(units.values()),
        "others": pg_arrays.numbers(others.values()),
        "versions": pg_arrays.numbers(versions.values()),
    }


def _orders(orders: Sequence[NewOrder]) -> dict[str, str]:
    payments = [order.payment for order in orders]
    return {
        "order_ids": pg_arrays.names([o.order_id for o in orders]),
        "order_numbers": pg_arrays.names([o.order_number for o in orders]),
        "customers": pg_arrays.names([o.customer_id for o in orders]),
        "partners": pg_arrays.texts([o.partner_id for o in orders]),
        "currencies": pg_arrays.names([o.currency for o in orders]),
        "totals": pg_arrays.numbers([o.total_minor for o in orders]),
        "states": pg_arrays.names([o.state.value for o in orders]),
        "order_versions": pg_arrays.numbers([o.version for o in orders]),
        "payment_ids": pg_arrays.names([p.payment_id for p in payments]),
        "payment_states": pg_arrays.names([p.state.value for p in payments]),
        "methods": pg_arrays.names([p.method for p in payments]),
        "captures": pg_arrays.names([p.capture_when.value for p in payments]),
        "references": pg_arrays.texts([o.external_reference for o in orders]),
        "notes": pg_arrays.texts([o.note for o in orders]),
        "actors": pg_arrays.texts([o.actor for o in orders]),
        "modes": pg_arrays.names([o.mode for o in orders]),
        "charges": pg_arrays.nullable_texts([document.write_charges(o.charges) for o in orders]),
        "metadata": pg_arrays.nullable_texts([document.write_metadata(o.metadata or None) for o in orders]),
        "times": pg_arrays.names([o.placed_at.isoformat() for o in orders]),
    }


def _lines(orders: Sequence[NewOrder]) -> dict[str, str]:
    lines = [line for order in orders for line in order.lines]
    return {
        "line_orders": pg_arrays.names([order.order_id for order in orders for _ in order.lines]),
        "line_numbers": pg_arrays.numbers([n for order in orders for n in range(1, len(order.lines) + 1)]),
        "line_products": pg_arrays.names([line.product_id for line in lines]),
        "line_titles": pg_arrays.texts([line.title for line in lines]),
        "line_quantities": pg_arrays.numbers([line.quantity for line in lines]),
        "line_taxes": pg_arrays.numbers([line.tax_minor for line in lines]),
        "line_prices": pg_arrays.numbers([line.unit_price_minor for line in lines]),
    }


def _effects(batch: Sequence[OrderInsert]) -> dict[str, str]:
    return {
        "keys": pg_arrays.blobs([item.record.id for item in batch]),
        "fingerprints": pg_arrays.blobs([item.record.fingerprint for item in batch]),
        "replies": pg_arrays.blobs([item.record.reply for item in batch]),
        "users": pg_arrays.texts([item.record.users for item in batch]),
        "addresses": pg_arrays.blobs([item.address for item in batch]),
        "kinds": pg_arrays.names([item.event.type for item in batch]),
        "events": pg_arrays.blobs([item.event.SerializeToString() for item in batch]),
        "traceparents": pg_arrays.texts([item.traceparent for item in batch]),
    }
