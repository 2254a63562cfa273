"""Every query of orders but the writes (`insert`, `update`) and those of the feed (`feed`)."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from chassis import ids
from chassis.clock import Clock
from chassis.security.identity import Identity
from chassis.storage.batching import BatchQueue
from chassis.storage.database import Database, Query, Row, Transaction
from chassis.storage.lookups import Lookup
from chassis.telemetry import tracing
from services.order.domain.order import Order, OrderState
from services.order.domain.payment import Payment, PaymentState
from services.order.orders import events, update
from services.order.orders.update import Saving

LINES = (
    "CROSS JOIN LATERAL (SELECT array_agg(product_id ORDER BY line) AS product_ids, array_agg(title ORDER BY line) AS titles, "
    "array_agg(quantity ORDER BY line) AS quantities, array_agg(unit_price_minor ORDER BY line) AS unit_prices, "
    "sum(octet_length(title) + 40) AS weight "
    "FROM order_lines WHERE order_lines.order_id = o.order_id) l"
)
"""Joins an order `o` with its lines, as arrays."""
_STORED = (
    "o.order_id, o.customer_id, o.partner_id, o.currency, o.total_minor, o.state, o.payment_id, o.payment_state, "
    "o.external_reference, o.note, o.reason, o.version, o.created_at, o.updated_at"
)
COLUMNS = f"{_STORED}, l.product_ids, l.titles, l.quantities, l.unit_prices"
"""What callers see of an order `o` with its lines `l`."""
MOST_WEIGHT = 2 * 1024 * 1024
"""Bytes of the orders that one statement returns, counted low; the first one comes whatever it weighs. More than a page has."""


def within_weight(columns: str, rows: str, order: str, most: int) -> str:
    """SQL for the first of some rows of orders `o` with lines `l`, up to so many bytes; see `is_cut`."""
    weight = "l.weight + octet_length(o.note)"
    so_far = f"sum({weight}) OVER (ORDER BY {order})"
    bare = re.sub(r"\b[a-z]\.", "", columns), re.sub(r"\b[a-z]\.", "", order)
    return (
        f"SELECT {bare[0]}, so_far FROM (SELECT {columns}, {weight} AS own, {so_far} AS so_far FROM {rows}) found "  # noqa: S608
        f"WHERE so_far - own < {most} ORDER BY {bare[1]}"
    )


def is_cut(rows: Sequence[Row], most: int) -> bool:
    """Whether rows end where they do because of their weight: there may be more."""
    return bool(rows) and rows[-1].so_far >= most


_OWNED = {
    "customer": "o.customer_id = %(owner)s",
    "partner": "o.partner_id = %(owner)s",
    "anyone": "true",
}
_FILTERS = {
    "after": "o.order_id < %(after)s",
    "states": "o.state = ANY(%(states)s::text[])",
    "customer_id": "o.customer_id = %(customer_id)s",
    # The second half is what the index asks for.
    "external_reference": "o.external_reference = %(external_reference)s AND o.external_reference <> ''",
    # Ids are made of times: the index walks no further than it must.
    "created_from": "o.created_at >= %(created_from)s AND o.order_id >= %(first_id)s",
    "created_to": "o.created_at < %(created_to)s AND o.order_id < %(last_id)s",
}


_GET = Query(
    f"SELECT w.n, {COLUMNS} FROM unnest(%(order_ids)s::text[], %(owned)s::text[], %(owners)s::text[]) "  # noqa: S608
    "WITH ORDINALITY AS w(order_id, owned, owner, n) JOIN orders o ON o.order_id = w.order_id AND CASE w.owned "
    "WHEN 'customer' THEN o.customer_id = w.owner WHEN 'partner' THEN o.partner_id = w.owner ELSE w.owned = 'anyone' END "
    f"{LINES}",
    "get order",
)
_GET_SAVED = Query(f"SELECT {COLUMNS} FROM orders o {LINES} WHERE o.order_id = %(order_id)s", "get order")  # noqa: S608


@cache
def _list(owned: str, filters: frozenset[str]) -> Query:
    """One statement for each set of filters that is used, so that each has the plan that suits it."""
    where = " AND ".join([_OWNED[owned], *(_FILTERS[name] for name in sorted(filters))])
    found = f"SELECT {_STORED} FROM orders o WHERE {where} ORDER BY o.order_id DESC LIMIT %(size)s"  # noqa: S608
    return Query(within_weight(COLUMNS, f"({found}) o {LINES}", "o.order_id DESC", MOST_WEIGHT), "list orders")


_AGGREGATE = (
    "SELECT o.order_id, o.customer_id, o.partner_id, o.currency, o.total_minor, o.state, o.reason, o.version, o.events, "
    "p.payment_id, p.method, p.state AS payment_state, p.attempt, p.asked, p.captured_minor, p.refunded_minor, p.failure_reason, p.failure_code "
    "FROM orders o JOIN payments p ON p.payment_id = o.payment_id AND p.order_id = o.order_id"
)
_BY_PAYMENTS = Query(
    f"{_AGGREGATE} WHERE p.payment_id = ANY(%(payment_ids)s::text[])",
    "read orders",
)
_OVERDUE = Query(
    "SELECT payment_id FROM orders WHERE state = 'PENDING' AND created_at < %(before)s ORDER BY created_at LIMIT %(most)s",
    "find overdue orders",
)


@cache
def _lock(owned: str) -> Query:
    return Query(
        f"{_AGGREGATE} WHERE o.order_id = %(order_id)s AND {_OWNED[owned]} FOR UPDATE OF o, p",
        "lock order",
    )


class OrderRepository:
    """Orders in the database. Readers name the caller: users see what they buy, partners what is bought through them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._batches: BatchQueue[Saving, bool] = BatchQueue(self._save, locks=partial(update.find_locks, database))
        self._by_id = Lookup(database, _GET, ("order_ids", "owned", "owners"))

    async def get(self, order_id: str, caller: Identity) -> Row | None:
        """An order with its lines, if it is the caller's."""
        return await self._by_id.find(order_id, *ownership(caller))

    async def get_saved(self, tx: Transaction, order_id: str) -> Row:
        """An order with its lines, as a transaction that has changed it sees it."""
        return await tx.one(_GET_SAVED, order_id=order_id)

    async def page(self, caller: Identity, size: int, filters: dict[str, Any]) -> list[Row]:
        """The caller's orders with their lines, newest first, `size` of them or fewer (see `is_cut`). `filters`: `after` (an id), `states`, `customer_id`,
        `external_reference`, `created_from` and `created_to` (times)."""
        owned, owner = ownership(caller)
        values = {**filters, "size": size, "owner": owner}
        if "created_from" in filters:
            values["first_id"] = _id_at(filters["created_from"] - timedelta(milliseconds=1))
        if "created_to" in filters:
            values["last_id"] = _id_at(filters["created_to"] + timedelta(milliseconds=2))
        return await self.database.all(_list(owned, frozenset(filters)), **values)

    async def lock(self, tx: Transaction, order_id: str, caller: Identity | None) -> Order | None:
        """The caller's order and its payment, locked until the transaction ends; any order where the caller is None."""
        owned, owner = ownership(caller) if caller else ("anyone", "")
        row = await tx.first(_lock(owned), order_id=order_id, owner=owner)
        return _order(row) if row else None

    async def by_payments(self, payment_ids: Sequence[str]) -> list[Order]:
        """The orders of payments, unlocked: whoever changes one follows its version."""
        return [_order(row) for row in await self.database.all(_BY_PAYMENTS, payment_ids=list(payment_ids))]

    async def overdue(self, before: datetime, most: int) -> list[str]:
        """The payments of orders that were placed before a time and are still PENDING, the oldest first."""
        return [row.payment_id for row in await self.database.all(_OVERDUE, before=before, most=most)]

    async def save(self, order: Order, tx: Transaction | None = None) -> bool:
        """Write one change of an order with all that follows from it; False where another change came in between.

        In a transaction, or on its own: then together with what else is saved at the moment. After the commit, wake the
        outbox, and the payment queue where the order has ended.
        """
        traceparent = tracing.current_traceparent()
        change = Saving(order, events.of(order, self._clock, traceparent), traceparent)
        saved = (await self._save([change], tx))[0] if tx else await self._batches.put(change)
        if saved:
            order.events += len(change.told)
            order.facts.clear()
            order.releases = False
        return saved

    async def _save(self, changes: Sequence[Saving], tx: Transaction | None = None) -> list[bool]:
        saved = await update.save(tx or self.database, changes, self._clock.now())
        return [change.order.order_id in saved for change in changes]


def ownership(caller: Identity) -> tuple[str, str]:
    """Whose orders a caller sees: a kind of `_OWNED`, and the owner's id."""
    if caller.is_operator:
        return "anyone", ""
    if caller.is_partner:
        return "partner", caller.partner_id or "nobody"
    return "customer", caller.user_id


def _id_at(time: datetime) -> str:
    """The smallest order id of a time's millisecond."""
    return "ord_" + ids.encode(max(0, int(time.timestamp() * 1000)) << 80)


def _order(row: Row) -> Order:
    payment = Payment(
        payment_id=row.payment_id,
        method=row.method,
        amount_minor=row.total_minor,
        currency=row.currency,
        state=PaymentState(row.payment_state),
        attempt=row.attempt,
        asked=row.asked,
        captured_minor=row.captured_minor,
        refunded_minor=row.refunded_minor,
        failure_reason=row.failure_reason,
        failure_code=row.failure_code,
    )
    return Order(
        order_id=row.order_id,
        customer_id=row.customer_id,
        partner_id=row.partner_id,
        currency=row.currency,
        total_minor=row.total_minor,
        state=OrderState(row.state),
        reason=row.reason,
        version=row.version,
        events=row.events,
        payment=payment,
    )
