"""The update of orders: one statement for all changes of a batch, with the effects of each change."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from weft.api.v1.event_pb2 import Event

from chassis.storage import pg_arrays
from chassis.storage.batching import NotBatchable
from chassis.storage.database import Database, Query, Transaction
from services.order.domain.changes import Step
from services.order.domain.order import Order
from services.order.orders import document

# A change follows the version that was read: if another change came first, `moved` lacks the order, and all effects of the
# change are left out. Rows are locked in the order of their ids, as everywhere: two statements never deadlock.
# `settings` is evaluated before the first row is locked: how long the statement waits for a lock.
# any owner: of orders that were read for their owner, or by a worker
_UPDATE = Query(
    """
WITH settings AS MATERIALIZED (SELECT set_config('lock_timeout', %(lock_timeout)s, true)),
new AS MATERIALIZED (
  SELECT order_id, state, payment_state, fulfilment_state, fulfilment, returns, note, metadata, address, reason, follows, version, new_events, actor, change,
         cause, payment_id, method, attempt, authorized, captured, refunded, charged_back, refunding, refund_count, to_capture,
         confirming, reference, next_action, failure, code, refund_id, refund_amount, refund_state, refund_reason,
         refund_return, releases, wakes, traceparent
    FROM settings CROSS JOIN unnest(
    %(order_ids)s::text[], %(states)s::text[], %(payment_states)s::text[], %(fulfilment_states)s::text[],
    %(fulfilments)s::jsonb[], %(returns)s::jsonb[], %(notes)s::text[], %(metadata)s::jsonb[], %(addresses)s::bytea[], %(reasons)s::text[], %(follows)s::int[], %(versions)s::int[], %(new_events)s::int[], %(actors)s::text[],
    %(changes)s::text[], %(causes)s::text[], %(payment_ids)s::text[], %(methods)s::text[], %(attempts)s::int[],
    %(authorized)s::bigint[], %(captured)s::bigint[], %(refunded)s::bigint[], %(charged_back)s::bigint[],
    %(refunding)s::bigint[], %(refund_counts)s::int[], %(to_capture)s::bigint[], %(confirming)s::bool[],
    %(references)s::text[], %(next_actions)s::text[], %(failures)s::text[], %(codes)s::text[], %(refund_ids)s::text[],
    %(refund_amounts)s::bigint[], %(refund_states)s::text[], %(refund_reasons)s::text[], %(refund_returns)s::text[],
    %(releases)s::bool[], %(wakes)s::bool[], %(traceparents)s::text[]
  ) AS t(order_id, state, payment_state, fulfilment_state, fulfilment, returns, note, metadata, address, reason, follows, version, new_events, actor, change, cause,
         payment_id, method, attempt, authorized, captured, refunded, charged_back, refunding, refund_count, to_capture,
         confirming, reference, next_action, failure, code, refund_id, refund_amount, refund_state, refund_reason,
         refund_return, releases, wakes, traceparent)),
locked AS MATERIALIZED (
  SELECT o.order_id FROM settings CROSS JOIN orders o WHERE o.order_id = ANY(%(order_ids)s::text[])
   ORDER BY o.order_id FOR NO KEY UPDATE OF o),
moved AS (
  UPDATE orders o SET state = new.state, payment_state = new.payment_state, fulfilment_state = new.fulfilment_state,
         fulfilment = COALESCE(new.fulfilment, o.fulfilment), returns = COALESCE(new.returns, o.returns),
         note = COALESCE(new.note, o.note), metadata = COALESCE(new.metadata, o.metadata),
         shipping_address_sealed = COALESCE(NULLIF(new.address, ''), o.shipping_address_sealed), reason = new.reason, version = new.version,
         events = o.events + new.new_events, updated_at = %(now)s
    FROM locked JOIN new USING (order_id) WHERE o.order_id = locked.order_id AND o.version = new.follows
  RETURNING new.order_id, new.state, new.payment_state, new.fulfilment_state, new.reason, new.version, new.actor, new.change,
            new.cause, new.payment_id, new.method, new.attempt, new.authorized, new.captured, new.refunded, new.charged_back,
            new.refunding, new.refund_count, new.to_capture, new.confirming, new.reference, new.next_action, new.failure,
            new.code, new.refund_id, new.refund_amount, new.refund_state, new.refund_reason, new.refund_return, new.releases,
            new.wakes, new.traceparent, o.customer_id, o.partner_id, o.mode, o.currency),
paid AS (
  UPDATE payments p SET state = moved.payment_state, method = moved.method, attempt = moved.attempt,
         provider_contacted = p.provider_contacted AND p.attempt = moved.attempt,
         authorized_minor = moved.authorized, captured_minor = moved.captured, refunded_minor = moved.refunded,
         charged_back_minor = moved.charged_back, refunding_minor = moved.refunding, refund_count = moved.refund_count,
         capture_minor = moved.to_capture, confirming = moved.confirming, provider_reference = moved.reference,
         next_action = moved.next_action, failure_reason = moved.failure, failure_code = moved.code, updated_at = %(now)s
    FROM moved WHERE p.payment_id = moved.payment_id),
booked AS (
  INSERT INTO payment_movements (payment_id, order_id, kind, amount_minor, currency, attempt, provider_reference, created_at)
  SELECT moved.payment_id, order_id, m.kind, m.amount, moved.currency, moved.attempt, m.reference, %(now)s
    FROM unnest(%(movement_orders)s::text[], %(movement_kinds)s::text[], %(movement_amounts)s::bigint[],
                %(movement_references)s::text[]) WITH ORDINALITY AS m(order_id, kind, amount, reference, n)
         JOIN moved USING (order_id) ORDER BY m.n),
refund AS (
  INSERT INTO payment_refunds (refund_id, payment_id, order_id, amount_minor, state, reason, failure, return_id, actor,
                               created_at, updated_at)
  SELECT refund_id, payment_id, order_id, refund_amount, refund_state, refund_reason, '', refund_return, actor,
         %(now)s, %(now)s FROM moved WHERE refund_id <> ''
  ON CONFLICT (refund_id) DO UPDATE SET state = EXCLUDED.state, updated_at = EXCLUDED.updated_at,
         failure = CASE EXCLUDED.state WHEN 'FAILED' THEN EXCLUDED.reason ELSE '' END),
changed AS (
  INSERT INTO order_changes (order_id, version, customer_id, partner_id, state, payment_state, fulfilment_state, reason, actor,
                             mode, change, cause, changed_at)
  SELECT order_id, version, customer_id, partner_id, state, payment_state, fulfilment_state, reason, actor, mode, change, cause,
         %(now)s FROM moved
  UNION ALL
  SELECT order_id, e.version, customer_id, partner_id, e.state, e.payment_state, fulfilment_state, reason, actor, mode, e.change, cause,
         %(now)s
    FROM unnest(%(earlier_orders)s::text[], %(earlier_versions)s::int[], %(earlier_states)s::text[],
                %(earlier_payment_states)s::text[], %(earlier_changes)s::text[])
           AS e(order_id, version, state, payment_state, change) JOIN moved USING (order_id)
   ORDER BY order_id, version),
emitted AS (
  INSERT INTO outbox (kind, payload, traceparent, due, created_at)
  SELECT e.kind, e.payload, moved.traceparent, LEAST(%(now)s, now()), %(now)s
    FROM unnest(%(event_orders)s::text[], %(kinds)s::text[], %(payloads)s::bytea[]) WITH ORDINALITY
         AS e(order_id, kind, payload, n) JOIN moved USING (order_id) ORDER BY e.n),
freed AS MATERIALIZED (
  SELECT u.product_id, sum(u.units) AS units
    FROM (SELECT order_id, product_id, quantity AS units FROM order_lines JOIN moved USING (order_id) WHERE moved.releases
          UNION ALL
          SELECT order_id, product_id, units
            FROM unnest(%(restocked_orders)s::text[], %(restocked_products)s::text[], %(restocked_units)s::bigint[])
              AS r(order_id, product_id, units)) u
         JOIN moved USING (order_id) JOIN products p ON p.product_id = u.product_id AND p.mode = moved.mode
   GROUP BY u.product_id),
locked_products AS MATERIALIZED (
  SELECT product_id FROM products WHERE product_id IN (SELECT product_id FROM freed) ORDER BY product_id FOR NO KEY UPDATE),
released AS (
  UPDATE products p SET stock = p.stock + freed.units
    FROM locked_products JOIN freed USING (product_id) WHERE p.product_id = locked_products.product_id),
job AS (
  INSERT INTO payment_work (kind, payload, traceparent, due, created_at)
  SELECT 'settle', convert_to(payment_id, 'UTF8'), traceparent, LEAST(%(now)s, now()), %(now)s FROM moved WHERE wakes)
SELECT order_id FROM moved
""",
    name="update orders",
)
# The locks of other transactions on an order, its payment, and the products whose stock it releases.
# any owner: it only says which rows are locked
_FIND_LOCKS = Query(
    """
WITH free_orders AS MATERIALIZED (
  SELECT order_id FROM orders WHERE order_id = ANY(%(order_ids)s::text[]) ORDER BY order_id FOR NO KEY UPDATE SKIP LOCKED),
free_payments AS MATERIALIZED (
  SELECT payment_id FROM payments WHERE payment_id = ANY(%(payment_ids)s::text[])
   ORDER BY payment_id FOR NO KEY UPDATE SKIP LOCKED),
freed AS MATERIALIZED (SELECT order_id, product_id FROM order_lines WHERE order_id = ANY(%(releasing)s::text[])),
free_products AS MATERIALIZED (
  SELECT product_id FROM products WHERE product_id IN (SELECT product_id FROM freed)
   ORDER BY product_id FOR NO KEY UPDATE SKIP LOCKED)
SELECT order_id, order_id || ' ' || xmax::text AS lock FROM orders
 WHERE order_id = ANY(%(order_ids)s::text[]) AND order_id NOT IN (SELECT order_id FROM free_orders)
UNION ALL
SELECT order_id, payment_id || ' ' || xmax::text FROM payments
 WHERE payment_id = ANY(%(payment_ids)s::text[]) AND payment_id NOT IN (SELECT payment_id FROM free_payments)
UNION ALL
SELECT freed.order_id, p.product_id || ' ' || p.xmax::text FROM freed JOIN products p ON p.product_id = freed.product_id
 WHERE p.product_id NOT IN (SELECT product_id FROM free_products)
""",
    name="find locked orders",
)


class OrderUpdate(NamedTuple):
    """One change of an order, and the events that it emits."""

    order: Order
    events: list[Event]
    traceparent: str


async def update(tx: Transaction | Database, batch: Sequence[OrderUpdate], now: datetime) -> set[str]:
    """The ids of the orders that were updated: those that had not changed in between.

    Raises `NotBatchable` for two changes of one order.
    """
    if len({item.order.order_id for item in batch}) < len(batch):
        raise NotBatchable
    # A transaction waits for a lock as long as any; a batch shares its statement, so it delays the others only briefly.
    lock_timeout = "400ms" if isinstance(tx, Database) else "3s"
    orders = [item.order for item in batch]
    values = {**_orders(orders), **_earlier(orders), **_restocked(orders), **_money(orders), **_events(batch)}
    return {row.order_id for row in await tx.all(_UPDATE, now=now, lock_timeout=lock_timeout, **values)}


async def find_locks(database: Database, batch: Sequence[OrderUpdate]) -> list[set[str]]:
    """For each change, the locks of other transactions that it waits for."""
    orders = [item.order for item in batch]
    rows = await database.all(
        _FIND_LOCKS,
        order_ids=pg_arrays.names([o.order_id for o in orders]),
        payment_ids=pg_arrays.names([o.payment.payment_id for o in orders]),
        releasing=pg_arrays.names([o.order_id for o in orders if o.releases_stock]),
    )
    return [{row.lock for row in rows if row.order_id == order.order_id} for order in orders]


def _orders(orders: Sequence[Order]) -> dict[str, str]:
    payments = [order.payment for order in orders]
    return {
        "order_ids": pg_arrays.names([o.order_id for o in orders]),
        "states": pg_arrays.names([o.state.value for o in orders]),
        "payment_states": pg_arrays.names([p.state.value for p in payments]),
        "fulfilment_states": pg_arrays.names([o.fulfilment_state.value for o in orders]),
        "fulfilments": pg_arrays.nullable_texts([document.write(o.fulfilment) for o in orders]),
        "returns": pg_arrays.nullable_texts([document.write_returns(o.fulfilment) for o in orders]),
        "notes": pg_arrays.nullable_texts([o.details.note for o in orders]),
        "metadata": pg_arrays.nullable_texts([document.write_metadata(o.details.metadata) for o in orders]),
        "addresses": pg_arrays.blobs([o.details.shipping_address or b"" for o in orders]),
        "reasons": pg_arrays.texts([o.reason for o in orders]),
        "follows": pg_arrays.numbers([o.version - 1 - len(o.earlier) for o in orders]),
        "versions": pg_arrays.numbers([o.version for o in orders]),
        "new_events": pg_arrays.numbers([len(o.domain_events) for o in orders]),
        "actors": pg_arrays.texts([o.actor for o in orders]),
        "changes": pg_arrays.texts([o.change for o in orders]),
        "causes": pg_arrays.texts([o.cause for o in orders]),
        "payment_ids": pg_arrays.names([p.payment_id for p in payments]),
        "methods": pg_arrays.names([p.method for p in payments]),
        "attempts": pg_arrays.numbers([p.attempt for p in payments]),
        "authorized": pg_arrays.numbers([p.authorized_minor for p in payments]),
        "charged_back": pg_arrays.numbers([p.charged_back_minor for p in payments]),
        "refunding": pg_arrays.numbers([p.refunding_minor for p in payments]),
        "refund_counts": pg_arrays.numbers([p.refund_count for p in payments]),
        "to_capture": pg_arrays.numbers([p.capture_minor for p in payments]),
        "confirming": pg_arrays.names(["t" if p.confirming else "f" for p in payments]),
        "references": pg_arrays.texts([p.reference for p in payments]),
        "next_actions": pg_arrays.texts([p.next_action for p in payments]),
        "captured": pg_arrays.numbers([p.captured_minor for p in payments]),
        "refunded": pg_arrays.numbers([p.refunded_minor for p in payments]),
        "failures": pg_arrays.texts([p.failure_reason for p in payments]),
        "codes": pg_arrays.texts([p.failure_code for p in payments]),
        "releases": pg_arrays.names(["t" if o.releases_stock else "f" for o in orders]),
        "wakes": pg_arrays.names(["t" if wakes_worker(o) else "f" for o in orders]),
    }


def _earlier(orders: Sequence[Order]) -> dict[str, str]:
    changes = [(order.order_id, change) for order in orders for change in order.earlier]
    return {
        "earlier_orders": pg_arrays.names([order_id for order_id, _ in changes]),
        "earlier_versions": pg_arrays.numbers([change.version for _, change in changes]),
        "earlier_states": pg_arrays.names([change.state.value for _, change in changes]),
        "earlier_payment_states": pg_arrays.names([change.payment_state.value for _, change in changes]),
        "earlier_changes": pg_arrays.names([change.change for _, change in changes]),
    }


def _restocked(orders: Sequence[Order]) -> dict[str, str]:
    """Units that have come back, by order and product."""
    units = [(order.order_id, *unit) for order in orders for unit in order.restocked.items()]
    return {
        "restocked_orders": pg_arrays.names([order_id for order_id, _, _ in units]),
        "restocked_products": pg_arrays.names([product_id for _, product_id, _ in units]),
        "restocked_units": pg_arrays.numbers([number for _, _, number in units]),
    }


def wakes_worker(order: Order) -> bool:
    """Whether a change has given the payment worker something to do."""
    return order.wakes_worker and (order.refund_change is not None or order.next_step() is not Step.NONE)


def _money(orders: Sequence[Order]) -> dict[str, str]:
    """Rows of the ledger, and the refund of each order that began or ended: empty where none did."""
    movements = [(order.order_id, movement) for order in orders for movement in order.payment.movements]
    refunds = [order.refund_change for order in orders]
    return {
        "movement_orders": pg_arrays.names([order_id for order_id, _ in movements]),
        "movement_kinds": pg_arrays.names([movement.kind.value for _, movement in movements]),
        "movement_amounts": pg_arrays.numbers([movement.amount_minor for _, movement in movements]),
        "movement_references": pg_arrays.texts([movement.reference for _, movement in movements]),
        "refund_ids": pg_arrays.texts([r.refund.refund_id if r else "" for r in refunds]),
        "refund_amounts": pg_arrays.numbers([r.refund.amount_minor if r else 0 for r in refunds]),
        "refund_states": pg_arrays.texts([r.state.value if r else "" for r in refunds]),
        "refund_reasons": pg_arrays.texts([r.reason if r else "" for r in refunds]),
        "refund_returns": pg_arrays.texts([r.return_id if r else "" for r in refunds]),
    }


def _events(batch: Sequence[OrderUpdate]) -> dict[str, str]:
    events = [event for item in batch for event in item.events]
    return {
        "traceparents": pg_arrays.texts([item.traceparent for item in batch]),
        "event_orders": pg_arrays.names([event.aggregate_id for event in events]),
        "kinds": pg_arrays.names([event.type for event in events]),
        "payloads": pg_arrays.blobs([event.SerializeToString() for event in events]),
    }
