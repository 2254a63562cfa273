"""Every query on payments. They change together with their orders, in `orders.repository`."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from chassis.storage.database import Database, Query, Row, Transaction
from services.order.ownership import Owner, of_owner

_FILTERS = {"states": "o.payment_state = ANY(%(states)s::text[])"}

# any owner: for the payment worker
# Never waits for a lock: a payment that is locked by another transaction, or whose order is, is left out.
_MARK_CONTACTED = Query(
    """
WITH free AS MATERIALIZED (
  SELECT p.payment_id, p.state, p.provider_contacted FROM payments p JOIN orders o ON o.order_id = p.order_id
   WHERE p.payment_id = ANY(%(payment_ids)s::text[]) ORDER BY p.payment_id FOR NO KEY UPDATE SKIP LOCKED),
marked AS (
  UPDATE payments p SET provider_contacted = true FROM free
   WHERE p.payment_id = free.payment_id AND free.state = 'PENDING' AND NOT free.provider_contacted)
SELECT payment_id FROM free
""",
    name="mark payments as contacted",
)
_COLUMNS = (
    "p.payment_id, p.order_id, p.amount_minor, p.currency, p.state, p.captured_minor, p.refunded_minor, p.failure_reason, "
    "p.failure_code, p.created_at, p.updated_at, o.mode, p.capture_when, p.next_action, p.authorized_minor, "
    "p.refunding_minor, p.charged_back_minor"
)
# any owner: of a payment that the transaction has locked for its owner
_GET_UPDATED = Query(
    f"SELECT {_COLUMNS} FROM payments p JOIN orders o ON o.order_id = p.order_id "  # noqa: S608
    "WHERE p.payment_id = %(payment_id)s",
    name="get payment",
)


@cache
def _get(kind: str) -> Query:
    return Query(
        f"SELECT {_COLUMNS} FROM payments p JOIN orders o ON o.order_id = p.order_id "  # noqa: S608
        f"WHERE p.payment_id = %(payment_id)s AND {of_owner(kind, 'o')}",
        name="get payment",
    )


@cache
def _list_movements(kind: str) -> Query:
    return Query(
        "SELECT m.movement_id, m.kind, m.amount_minor, m.currency, m.provider_reference, m.attempt, m.created_at "  # noqa: S608
        "FROM payment_movements m JOIN orders o ON o.order_id = m.order_id "
        f"WHERE m.payment_id = %(payment_id)s AND m.movement_id > %(after_movement)s AND {of_owner(kind, 'o')} "
        "ORDER BY m.movement_id LIMIT %(limit)s",
        name="list movements",
    )


@cache
def _list(kind: str, filters: frozenset[str]) -> Query:
    """A payment has the age and the owner of its order, so the indexes of orders serve both."""
    where = " AND ".join([of_owner(kind, "o"), "o.order_id < %(after)s", *(_FILTERS[name] for name in sorted(filters))])
    return Query(
        f"SELECT {_COLUMNS} FROM (SELECT order_id, payment_id, mode FROM orders o WHERE {where} ORDER BY order_id DESC LIMIT %(limit)s) o "  # noqa: S608
        "JOIN payments p ON p.payment_id = o.payment_id ORDER BY o.order_id DESC",
        name="list payments",
    )


class PaymentRepository:
    """Payments in the database. Readers name the owner: users see what they pay, partners what is paid through them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, owner: Owner, payment_id: str) -> Row | None:
        """The owner's payment."""
        return await self._database.first(_get(owner.kind), payment_id=payment_id, owner=owner.id)

    async def get_updated(self, tx: Transaction, payment_id: str) -> Row:
        """A payment, as seen by a transaction that has changed it."""
        return await tx.one(_GET_UPDATED, payment_id=payment_id)

    async def list_movements(self, owner: Owner, payment_id: str, limit: int, after: int) -> Sequence[Row]:
        """The movements of the owner's payment after one, oldest first."""
        query = _list_movements(owner.kind)
        return await self._database.all(query, payment_id=payment_id, owner=owner.id, limit=limit, after_movement=after)

    async def list(self, owner: Owner, limit: int, after: str, filters: Mapping[str, object]) -> Sequence[Row]:
        """Up to `limit` payments of orders older than `after`, newest first. `filters`: `states`."""
        query = _list(owner.kind, frozenset(filters))
        return await self._database.all(query, owner=owner.id, limit=limit, after=after, **filters)

    async def mark_contacted(self, payment_ids: Collection[str]) -> set[str]:
        """Store, before the provider is called, that it may have been: from then on only the provider knows the outcome.

        Payments that were cancelled in the meantime stay as they are. Returns those that no other transaction has locked;
        the others are unchanged.
        """
        rows = await self._database.all(_MARK_CONTACTED, payment_ids=[*payment_ids])
        return {row.payment_id for row in rows}
