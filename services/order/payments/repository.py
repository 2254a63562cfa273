"""Every query on payments. They change together with their orders, in `orders.repository`."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from chassis.storage.database import Database, Query, Row, Transaction, oldest_first
from services.order.orders import list_statements
from services.order.orders.tables import orders
from services.order.ownership import Owner, of_owner, owned
from services.order.payments.tables import payment_movements, payments

_p, _o, _m = payments.alias("p"), orders.alias("o"), payment_movements.alias("m")
_SHOWN = (
    "payment_id", "order_id", "amount_minor", "currency", "state", "captured_minor", "refunded_minor", "failure_reason", "failure_code",
    "created_at", "updated_at", "capture_when", "next_action", "authorized_minor", "refunding_minor", "charged_back_minor",
)  # fmt: skip
_COLUMNS = (*(_p.c[name] for name in _SHOWN), _o.c.mode)
_ALL = select(*_COLUMNS).join_from(_p, _o, _o.c.order_id == _p.c.order_id)
_by_id = _ALL.where(_p.c.payment_id == bindparam("payment_id"))

# any owner: of a payment that the transaction has locked for its owner
_GET_UPDATED = Query(_by_id, name="get payment")
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


@cache
def _get(kind: str) -> Query:
    return Query(_by_id.where(owned(kind, "o")), name="get payment")


@cache
def _list_movements(kind: str) -> Query:
    found = (
        select(_m)
        .join_from(_m, _o, _o.c.order_id == _m.c.order_id)
        .where(_m.c.payment_id == bindparam("payment_id"), owned(kind, "o"))
    )
    return Query(oldest_first(found, _m.c.movement_id), name="list movements")


@cache
def _list(kind: str, filters: frozenset[str]) -> Query:
    """A payment has the age, the state and the owner of its order, so the indexes of orders serve both."""
    page = list_statements.select("o.order_id, o.payment_id, o.mode", of_owner(kind, "o"), kind, filters)
    shown = ", ".join(f"p.{name}" for name in _SHOWN)
    # Each by its key: the planner does not know how long a page is, expects a tenth of all, and would read the whole table.
    return Query(
        # any owner: of orders that are the owner's
        f"SELECT {shown}, page.mode FROM ({page}) page "  # noqa: S608
        f"CROSS JOIN LATERAL (SELECT {shown} FROM payments p WHERE p.payment_id = page.payment_id OFFSET 0) p ORDER BY page.order_id DESC",
        name="list payments",
    )


class PaymentRepository:
    """Payments in the database. Readers name the owner: users see what they pay, partners what is paid through them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, owner: Owner, payment_id: str) -> Row | None:
        return await self._database.first(_get(owner.kind), payment_id=payment_id, **owner.values)

    async def get_updated(self, tx: Transaction, payment_id: str) -> Row:
        """A payment, as seen by a transaction that has changed it."""
        return await tx.one(_GET_UPDATED, payment_id=payment_id)

    async def list_movements(self, owner: Owner, payment_id: str, limit: int, after: int) -> Sequence[Row]:
        """The movements of the owner's payment after one, oldest first."""
        query = _list_movements(owner.kind)
        return await self._database.all(query, payment_id=payment_id, **owner.values, limit=limit, after=after)

    async def list(self, owner: Owner, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` payments of orders older than `after`, newest first. `filters`: `states`."""
        # They keep the name that page tokens of the release before have in their query.
        filters = list_statements.values({"payment_states": filters["states"]} if "states" in filters else {})
        query = _list(owner.kind, frozenset(filters))
        return await self._database.all(query, **owner.values, limit=limit, after=after, **filters)

    async def mark_contacted(self, payment_ids: Collection[str]) -> set[str]:
        """Store, before the provider is called, that it may have been: from then on only the provider knows the outcome.

        Payments that were cancelled in the meantime stay as they are. Returns those that no other transaction has locked;
        the others are unchanged.
        """
        rows = await self._database.all(_MARK_CONTACTED, payment_ids=[*payment_ids])
        return {row.payment_id for row in rows}
