"""The tables of the order service.

No foreign keys: an order, its lines, its payment and its first change are inserted in one statement and never deleted, so
a foreign key would only repeat what the statement ensures (docs/decisions/0034).

Each noun has its own `tables`; this module imports them all, and has the tables that belong to no noun.
"""

from chassis.queues import queue
from chassis.rpc import idempotency
from services.order.charges import tables as _charges
from services.order.feed import tables as _feed
from services.order.metadata import metadata
from services.order.orders import tables as _orders
from services.order.payments import tables as _payments
from services.order.payments.gateways import tables as _payments_gateways
from services.order.products import tables as _products

outbox = queue.table("outbox", metadata)

paused_queues = queue.pauses(metadata)

idempotency_records = idempotency.table(metadata)

NOUNS = (
    _charges,
    _feed,
    _orders,
    _payments,
    _payments_gateways,
    _products,
)
"""The modules whose tables `metadata` has."""

__all__ = ["NOUNS", "idempotency_records", "metadata", "outbox", "paused_queues"]
