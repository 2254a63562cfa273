"""Every query on orders. The two statements that write them are in `insert_statements` and `update_statements`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, partial
from typing import Any

import psycopg
from opentelemetry.trace import SpanKind
from sqlalchemy import bindparam, select

from chassis import ids
from chassis.clock import Clock
from chassis.queues.outbox import Outbox
from chassis.queues.queue import Queue
from chassis.rpc.idempotency import Record
from chassis.security.encryption import Vault
from chassis.storage.batching import BatchQueue
from chassis.storage.database import Database, Query, Row, Transaction, constant, violated
from chassis.storage.lookups import Lookup
from chassis.telemetry import tracing
from chassis.telemetry.tracing import Tracer
from services.order import lock_statements
from services.order.domain.changes import NO_DETAILS
from services.order.domain.new_order import NewOrder
from services.order.domain.order import Order
from services.order.domain.payment import Capture, Payment, Refund
from services.order.domain.refusals import ExternalReferenceTaken
from services.order.domain.states import FulfilmentState, OrderState, PaymentState
from services.order.order_rows import ADDRESS_CONTEXT, LINES, opened, within_bytes
from services.order.orders import (
    document,
    events,
    insert_statements,
    list_statements,
    update_statements,
)
from services.order.orders.insert_statements import OrderInsert
from services.order.orders.tables import orders
from services.order.orders.update_statements import OrderUpdate
from services.order.ownership import OF_BATCH, Owner, of_owner

_STORED = (
    "o.order_id, o.order_number, o.customer_id, o.partner_id, o.currency, o.total_minor, o.state, o.payment_id, o.payment_state, "
    "o.external_reference, o.note, o.reason, o.version, o.created_at, o.updated_at, o.fulfilment_state, o.fulfilment, "
    "o.returns, o.metadata, o.mode, o.shipping_address_sealed, o.charges"
)
UNITS = "l.product_ids, l.titles, l.quantities, l.unit_prices, l.taxes"
COLUMNS = f"{_STORED}, {UNITS}"
"""The columns of `messages.to_message`, of an order `o` with its lines `l`."""
MAX_LIST_BYTES = 2 * 1024 * 1024
"""Of the orders that one statement returns, estimated low; the first one always comes. More than a page has."""

_GET = Query(
    f"SELECT w.n, {COLUMNS} FROM unnest(%(order_ids)s::text[], %(owned)s::text[], %(owners)s::text[]) "  # noqa: S608
    f"WITH ORDINALITY AS w(order_id, owned, owner, n) JOIN orders o ON o.order_id = w.order_id AND {OF_BATCH} {LINES}",
    name="get order",
)
# any owner: of an order that the transaction has locked for its owner
_GET_UPDATED = Query(f"SELECT {COLUMNS} FROM orders o {LINES} WHERE o.order_id = %(order_id)s", name="get order")  # noqa: S608


@cache
def _list(kind: str, filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    found = list_statements.select(_STORED, of_owner(kind, "o"), kind, filters)
    return Query(within_bytes(COLUMNS, f"({found}) o {LINES}", "o.order_id DESC", MAX_LIST_BYTES), name="list orders")


# any owner: for the worker that expires orders
_LIST_OVERDUE = Query(
    select(orders.c.payment_id)
    .where(orders.c.state == constant("PENDING"), orders.c.created_at < bindparam("before"))
    .order_by(orders.c.created_at)
    .limit(bindparam("limit")),
    name="list overdue orders",
)


# any owner: of an order that the transaction has locked for its owner
_GET_UNITS = Query(
    f"SELECT o.fulfilment, o.returns, {UNITS} FROM orders o {LINES} WHERE o.order_id = %(order_id)s",  # noqa: S608
    name="get units",
)


class Conflict(Enum):
    """What was in an order's way."""

    REPEAT = "repeat"
    """Another order had its number, or another replica inserted the same keys in another order: to be tried again with a new number."""
    STOCK = "stock"
    """A product has not what is ordered: the catalogue has changed since the order was priced."""


class OrderRepository:
    """Orders in the database. Readers name the owner: users see what they buy, partners what is bought through them."""

    def __init__(
        self, database: Database, clock: Clock, outbox: Outbox, payment_work: Queue, tracer: Tracer, vault: Vault
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._outbox = outbox
        self._payment_work = payment_work
        self._tracer = tracer
        self._inserts: BatchQueue[OrderInsert, None] = BatchQueue(
            self._insert, locks=partial(insert_statements.find_locks, database)
        )
        self._updates: BatchQueue[OrderUpdate, bool] = BatchQueue(
            self._update, locks=partial(update_statements.find_locks, database)
        )
        self._by_id = Lookup(database, _GET, ("order_ids", "owned", "owners"))

    async def get(self, owner: Owner, order_id: str) -> Row | None:
        """The owner's order with its lines."""
        return opened(await self._by_id.find(order_id, *owner), self._vault)

    async def get_updated(self, tx: Transaction, order_id: str) -> Row:
        """An order with its lines, as seen by a transaction that has changed it."""
        return opened(await tx.one(_GET_UPDATED, order_id=order_id), self._vault)

    async def list(self, owner: Owner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` orders older than `after` with their lines, newest first; fewer where `is_cut`.

        `filters`: `states`, `payment_states`, `fulfilment_states`, `customer_id`, `external_reference`, `order_number`,
        `created_from`, `created_to` (times).
        """
        filters = list_statements.values(filters)
        values = {**filters, "limit": limit, "after": after, **owner.values}
        if "created_from" in filters:
            values["first_id"] = _id_at(filters["created_from"] - timedelta(milliseconds=1))
        if "created_to" in filters:
            values["last_id"] = _id_at(filters["created_to"] + timedelta(milliseconds=2))
        rows = await self._database.all(_list(owner.kind, frozenset(filters)), **values)
        return [opened(row, self._vault) for row in rows]

    async def list_by_payments(self, payment_ids: Collection[str]) -> Sequence[Order]:
        """The orders of payments, not locked: an update follows the version that was read."""
        rows = await self._database.all(lock_statements.LIST_BY_PAYMENTS, payment_ids=[*payment_ids])
        return [_read(row, row if row.refund_id else None) for row in rows]

    async def list_overdue(self, placed_before: datetime, limit: int) -> Sequence[str]:
        """The payments of orders that are still PENDING, the oldest first."""
        rows = await self._database.all(_LIST_OVERDUE, before=placed_before, limit=limit)
        return [row.payment_id for row in rows]

    async def lock(self, tx: Transaction, owner: Owner, order_id: str) -> Order | None:
        """The owner's order and its payment, locked until the transaction ends."""
        return await self._locked(
            tx, await tx.first(lock_statements.lock(owner.kind), order_id=order_id, **owner.values)
        )

    async def lock_by_payment(self, tx: Transaction, owner: Owner, payment_id: str) -> Order | None:
        """As `lock`, by the id of the payment."""
        query = lock_statements.lock(owner.kind, "p.payment_id = %(payment_id)s")
        return await self._locked(tx, await tx.first(query, payment_id=payment_id, **owner.values))

    async def lock_units(self, tx: Transaction, owner: Owner, order_id: str) -> Order | None:
        """As `lock`, with what happened to the order's units."""
        order = await self.lock(tx, owner, order_id)
        if order is not None:
            order.fulfilment = document.read(order_id, await tx.one(_GET_UNITS, order_id=order_id))
        return order

    async def insert(self, order: NewOrder, record: Record, traceparent: str) -> Conflict | None:
        """Insert an order with its effects, in one statement with the orders that are inserted concurrently; or say what was in the way.

        Raises `ExternalReferenceTaken`, and `UniqueViolation` of the record's key.
        """
        with self._tracer.span("place order", kind=SpanKind.CLIENT, attributes={"db.system.name": "postgresql"}):
            address = self._vault.seal(order.address, ADDRESS_CONTEXT) if order.address else b""
            event = events.of_new(order, traceparent)
            try:
                await self._inserts.put(OrderInsert(order, record, event, traceparent, address))
            except psycopg.errors.UniqueViolation as error:
                if violated(error) == insert_statements.REFERENCE_CONSTRAINT:
                    raise ExternalReferenceTaken(external_reference=order.external_reference) from error
                if violated(error) != insert_statements.NUMBER_CONSTRAINT:
                    raise
                return Conflict.REPEAT
            except psycopg.errors.DeadlockDetected:
                return Conflict.REPEAT
            except psycopg.errors.CheckViolation as error:
                if violated(error) != insert_statements.STOCK_CONSTRAINT:
                    raise
                return Conflict.STOCK
        return None

    async def update(self, order: Order, tx: Transaction | None = None) -> bool:
        """Write one change of an order with its effects; False if another change came in between.

        Without a transaction it shares a statement with concurrent updates. The commit notifies the workers.
        """
        traceparent = tracing.current_traceparent()
        if order.details.shipping_address:
            sealed = self._vault.seal(order.details.shipping_address, ADDRESS_CONTEXT)
            order.details = order.details._replace(shipping_address=sealed)
        item = OrderUpdate(order, events.of(order, self._clock, traceparent), traceparent)
        if tx:
            updated = order.order_id in await update_statements.update(tx, [item], self._clock.now())
            for queue in self._notified_by([item]):
                tx.after_commit(queue.notify)
        else:
            updated = await self._updates.put(item)
        if updated:
            order.event_count += len(item.events)
            order.domain_events.clear()
            order.payment.movements.clear()
            order.earlier.clear()
            order.releases_stock = order.wakes_worker = False
            order.refund_change, order.restocked, order.details = None, {}, NO_DETAILS
        return updated

    async def _locked(self, tx: Transaction, row: Row | None) -> Order | None:
        if row is None:
            return None
        waits = row.refunding_minor > 0
        return _read(row, await tx.first(lock_statements.GET_NEXT_REFUND, payment_id=row.payment_id) if waits else None)

    async def _insert(self, batch: Sequence[OrderInsert]) -> Sequence[None]:
        await insert_statements.insert(self._database, batch)
        self._outbox.notify()
        self._payment_work.notify()
        return [None] * len(batch)

    async def _update(self, batch: Sequence[OrderUpdate]) -> Sequence[bool]:
        updated = await update_statements.update(self._database, batch, self._clock.now())
        for queue in self._notified_by(batch):
            queue.notify()
        return [item.order.order_id in updated for item in batch]

    def _notified_by(self, batch: Sequence[OrderUpdate]) -> Sequence[Outbox | Queue]:
        """The outbox by every change, for the feed too; the payment queue by those that give it work."""
        awake = any(update_statements.wakes_worker(item.order) for item in batch)
        return [self._outbox, self._payment_work] if awake else [self._outbox]


def _id_at(time: datetime) -> str:
    """The smallest order id of a time's millisecond."""
    return "ord_" + ids.encode(max(0, int(time.timestamp() * 1000)) << 80)


def _read(row: Row, refund: Row | None) -> Order:
    payment = Payment(
        payment_id=row.payment_id,
        method=row.method,
        amount_minor=row.total_minor,
        currency=row.currency,
        state=PaymentState(row.payment_state),
        attempt=row.attempt,
        provider_contacted=row.provider_contacted,
        captured_minor=row.captured_minor,
        refunded_minor=row.refunded_minor,
        failure_reason=row.failure_reason,
        failure_code=row.failure_code,
        capture_when=Capture(row.capture_when),
        reference=row.provider_reference,
        next_action=row.next_action,
        confirming=row.confirming,
        capture_minor=row.capture_minor,
        authorized_minor=row.authorized_minor,
        charged_back_minor=row.charged_back_minor,
        refunding_minor=row.refunding_minor,
        refund_count=row.refund_count,
        refund=Refund(refund.refund_id, refund.refund_minor) if refund else None,
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
        event_count=row.events,
        payment=payment,
        fulfilment_state=FulfilmentState(row.fulfilment_state),
        mode=row.mode,
    )
