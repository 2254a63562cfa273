"""The hot write: one statement that places any number of orders, or none.

It reserves stock, and writes orders, lines, payments, first changes, idempotency records, events and the payments' work.
`CHECK (stock >= 0)` is what makes it all or nothing: for a product that is inactive, has another price than the buyer
was shown, or is short, the statement computes a negative stock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from opentelemetry.trace import SpanKind

from chassis.queues.outbox import Outbox
from chassis.queues.queue import Queue
from chassis.rpc.idempotency import Record
from chassis.storage import pg_arrays
from chassis.storage.batching import BatchQueue, NotBatchable
from chassis.storage.database import Database, Query
from chassis.telemetry.tracing import Tracer
from services.order.domain.pricing import Line

STOCK = "products_stock_not_negative"
"""The constraint that an order breaks when a product is short, inactive or changed."""
REFERENCE = "orders_external_reference"
"""The index that an order breaks when its partner has used the external reference."""

# PostgreSQL runs what modifies in reverse order of writing, so products, which orders contend for, are locked last and
# for the shortest time; in the order of their ids, so that two statements never wait for each other.
# Everything is read from `new`, so `patience` comes first: a batch waits for a lock for a moment only.
_PLACE = Query(
    """
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '400ms', true)),
need AS MATERIALIZED (
  SELECT product_id, need, seen FROM unnest(%(product_ids)s::text[], %(needs)s::bigint[], %(versions)s::bigint[]) AS t(product_id, need, seen)),
locked AS MATERIALIZED (
  SELECT product_id FROM products WHERE product_id = ANY(%(product_ids)s::text[]) ORDER BY product_id FOR NO KEY UPDATE),
reserved AS (
  UPDATE products p SET stock = CASE WHEN p.active AND p.version = need.seen THEN p.stock - need.need ELSE -1 END
    FROM locked JOIN need USING (product_id) WHERE p.product_id = locked.product_id),
new AS MATERIALIZED (
  SELECT key, fingerprint, reply, order_id, customer_id, partner_id, currency, total, payment_id, method, reference, note,
         actor, event, traceparent, now
    FROM patience CROSS JOIN unnest(
    %(keys)s::bytea[], %(fingerprints)s::bytea[], %(replies)s::bytea[], %(order_ids)s::text[], %(customers)s::text[],
    %(partners)s::text[], %(currencies)s::text[], %(totals)s::bigint[], %(payment_ids)s::text[], %(methods)s::text[],
    %(references)s::text[], %(notes)s::text[], %(actors)s::text[], %(events)s::bytea[], %(traceparents)s::text[],
    %(times)s::timestamptz[]
  ) AS t(key, fingerprint, reply, order_id, customer_id, partner_id, currency, total, payment_id, method, reference, note,
         actor, event, traceparent, now)),
remembered AS (
  INSERT INTO idempotency (id, fingerprint, reply, created_at) SELECT key, fingerprint, reply, now FROM new),
placed AS (
  INSERT INTO orders (order_id, customer_id, partner_id, currency, total_minor, state, payment_id, payment_state,
                      external_reference, note, created_at, updated_at)
  SELECT order_id, customer_id, partner_id, currency, total, 'PENDING', payment_id, 'PENDING', reference, note, now, now FROM new),
lined AS (
  INSERT INTO order_lines (order_id, line, product_id, title, quantity, unit_price_minor)
  SELECT order_id, line, product_id, title, quantity, price
    FROM unnest(%(line_orders)s::text[], %(line_numbers)s::int[], %(line_products)s::text[], %(line_titles)s::text[],
                %(line_quantities)s::int[], %(line_prices)s::bigint[]) AS t(order_id, line, product_id, title, quantity, price)),
paying AS (
  INSERT INTO payments (payment_id, order_id, method, amount_minor, currency, state, created_at, updated_at)
  SELECT payment_id, order_id, method, total, currency, 'PENDING', now, now FROM new),
changed AS (
  INSERT INTO order_changes (order_id, version, customer_id, partner_id, state, payment_state, reason, actor, changed_at)
  SELECT order_id, 1, customer_id, partner_id, 'PENDING', 'PENDING', '', actor, now FROM new),
working AS (
  INSERT INTO payment_work (kind, payload, traceparent, due, created_at)
  SELECT 'pay', convert_to(payment_id, 'UTF8'), traceparent, LEAST(now, now()), now FROM new)
INSERT INTO outbox (kind, payload, traceparent, due, created_at)
SELECT 'order.placed', event, traceparent, LEAST(now, now()), now FROM new
""",
    "place orders",
)
# Which products are locked by others, and by whom: `xmax` of a row is the transaction that has it.
_LOCKED = Query(
    """
WITH free AS MATERIALIZED (
  SELECT product_id FROM products WHERE product_id = ANY(%(product_ids)s::text[])
   ORDER BY product_id FOR NO KEY UPDATE SKIP LOCKED)
SELECT product_id, product_id || ' ' || xmax::text AS lock FROM products
 WHERE product_id = ANY(%(product_ids)s::text[]) AND product_id NOT IN (SELECT product_id FROM free)
""",
    "find locked products",
)


class Placed(NamedTuple):
    """An order to write. `versions`: of each line's product, as its buyer was shown it. `reply`: what the buyer gets."""

    record: Record
    reply: bytes
    order_id: str
    customer_id: str
    partner_id: str
    currency: str
    total_minor: int
    payment_id: str
    method: str
    external_reference: str
    note: str
    actor: str
    event: bytes
    traceparent: str
    now: datetime
    lines: list[Line]
    versions: list[int]


class Placement:
    """Places orders, those that come at once together."""

    def __init__(self, database: Database, outbox: Outbox, payment_work: Queue, tracer: Tracer) -> None:
        self._database = database
        self._outbox = outbox
        self._payment_work = payment_work
        self._tracer = tracer
        self._batches: BatchQueue[Placed, None] = BatchQueue(self._write, locks=self._locks)

    async def place(self, order: Placed) -> None:
        """Write an order. Raises `CheckViolation` of `STOCK`, and `UniqueViolation` of `REFERENCE` or of the key."""
        with self._tracer.span("place order", kind=SpanKind.CLIENT, attributes={"db.system.name": "postgresql"}):
            await self._batches.put(order)

    async def _write(self, batch: Sequence[Placed]) -> list[None]:
        await self._database.run(_PLACE, **_needs(batch), **_orders(batch), **_lines(batch))
        self._outbox.notify()
        self._payment_work.notify()
        return [None] * len(batch)

    async def _locks(self, batch: Sequence[Placed]) -> list[list[str]]:
        products = {line.product_id for order in batch for line in order.lines}
        rows = await self._database.all(_LOCKED, product_ids=pg_arrays.names(products))
        locked = {row.product_id: row.lock for row in rows}
        return [[locked[line.product_id] for line in order.lines if line.product_id in locked] for order in batch]


def _needs(batch: Sequence[Placed]) -> dict[str, str]:
    """What the batch takes of each product. Raises `NotBatchable` where its buyers were shown different versions."""
    needs: dict[str, int] = {}
    versions: dict[str, int] = {}
    for order in batch:
        for line, version in zip(order.lines, order.versions, strict=True):
            product_id = line.product_id
            needs[product_id] = needs.get(product_id, 0) + line.quantity
            if versions.setdefault(product_id, version) != version:
                raise NotBatchable
    return {
        "product_ids": pg_arrays.names(needs),
        "needs": pg_arrays.numbers(needs.values()),
        "versions": pg_arrays.numbers(versions.values()),
    }


def _orders(batch: Sequence[Placed]) -> dict[str, str]:
    return {
        "keys": pg_arrays.blobs([o.record.id for o in batch]),
        "fingerprints": pg_arrays.blobs([o.record.fingerprint for o in batch]),
        "replies": pg_arrays.blobs([o.record.reply for o in batch]),
        "order_ids": pg_arrays.names([o.order_id for o in batch]),
        "customers": pg_arrays.names([o.customer_id for o in batch]),
        "partners": pg_arrays.texts([o.partner_id for o in batch]),
        "currencies": pg_arrays.names([o.currency for o in batch]),
        "totals": pg_arrays.numbers([o.total_minor for o in batch]),
        "payment_ids": pg_arrays.names([o.payment_id for o in batch]),
        "methods": pg_arrays.names([o.method for o in batch]),
        "references": pg_arrays.texts([o.external_reference for o in batch]),
        "notes": pg_arrays.texts([o.note for o in batch]),
        "actors": pg_arrays.texts([o.actor for o in batch]),
        "events": pg_arrays.blobs([o.event for o in batch]),
        "traceparents": pg_arrays.texts([o.traceparent for o in batch]),
        "times": pg_arrays.names([o.now.isoformat() for o in batch]),
    }


def _lines(batch: Sequence[Placed]) -> dict[str, str]:
    lines = [line for order in batch for line in order.lines]
    return {
        "line_orders": pg_arrays.names([order.order_id for order in batch for _ in order.lines]),
        "line_numbers": pg_arrays.numbers([n for order in batch for n in range(1, len(order.lines) + 1)]),
        "line_products": pg_arrays.names([line.product_id for line in lines]),
        "line_titles": pg_arrays.texts([line.title for line in lines]),
        "line_quantities": pg_arrays.numbers([line.quantity for line in lines]),
        "line_prices": pg_arrays.numbers([line.unit_price_minor for line in lines]),
    }
