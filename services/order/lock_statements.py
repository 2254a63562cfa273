"""SQL that reads an order with its payment, for a change of either."""

from functools import cache

from chassis.storage.database import Query
from services.order.ownership import of_owner

_AGGREGATE = (
    "SELECT o.order_id, o.customer_id, o.partner_id, o.currency, o.total_minor, o.state, o.reason, o.version, o.mode, o.events, "
    "o.fulfilment_state, "
    "p.payment_id, p.method, p.state AS payment_state, p.attempt, p.provider_contacted, "
    "p.captured_minor, p.refunded_minor, p.failure_reason, p.failure_code, p.capture_when, p.provider_reference, "
    "p.next_action, p.confirming, p.capture_minor, p.authorized_minor, p.charged_back_minor, p.refunding_minor, "
    "p.refund_count"
)
_TABLES = "FROM orders o JOIN payments p ON p.payment_id = o.payment_id AND p.order_id = o.order_id"
_NEXT_REFUND = (
    "SELECT refund_id, amount_minor AS refund_minor FROM payment_refunds r "
    "WHERE r.payment_id = p.payment_id AND r.state = 'PENDING' ORDER BY r.refund_id LIMIT 1"
)

# any owner: for the payment worker
LIST_BY_PAYMENTS = Query(
    # The first condition spares most payments the look-up.
    f"{_AGGREGATE}, r.refund_id, r.refund_minor {_TABLES} LEFT JOIN LATERAL ({_NEXT_REFUND}) r ON p.refunding_minor > 0 "
    "WHERE p.payment_id = ANY(%(payment_ids)s::text[])",
    name="list orders by payments",
)
# A statement of its own: what a lock has waited for is seen of the locked rows alone.
# any owner: of a payment that the transaction has locked for its owner
GET_NEXT_REFUND = Query(
    f"SELECT r.refund_id, r.refund_minor FROM payments p, LATERAL ({_NEXT_REFUND}) r WHERE p.payment_id = %(payment_id)s",  # noqa: S608
    name="get next refund",
)


@cache
def lock(kind: str, which: str = "o.order_id = %(order_id)s") -> Query:
    """The owner's order and its payment, locked until the transaction ends."""
    return Query(
        f"{_AGGREGATE} {_TABLES} WHERE {which} AND {of_owner(kind, 'o')} FOR UPDATE OF o, p",
        name="lock order",
    )
