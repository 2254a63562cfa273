"""Every query on the events of payment providers."""

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from chassis.storage.database import Query, Transaction, constant
from services.order.payments.tables import payments, provider_events

_p = payments.c
# any owner: the provider is known by its signature
_FIND = Query(select(_p.payment_id).where(_p.payment_id == bindparam("payment_id")), name="find payment of event")
# any owner: the provider is known by its signature
_FIND_BY_REFERENCE = Query(
    select(_p.payment_id).where(
        _p.provider_reference == bindparam("reference"),
        _p.provider_reference.like(constant("pi\\_%")),  # matches the condition of the index
    ),
    name="find payment of event by reference",
)
_INSERT = Query(
    insert(provider_events)
    .values({column.name: bindparam(column.name) for column in provider_events.columns})
    .on_conflict_do_nothing(),
    name="insert provider event",
)


class ProviderEventRepository:
    """Events of payment providers, and the payments that they are about."""

    async def find_payment(self, tx: Transaction, payment_id: str, reference: str) -> str:
        """The id of the payment with an id or, where that is empty, a provider's reference; empty where there is none."""
        if payment_id:
            row = await tx.first(_FIND, payment_id=payment_id)
        else:
            row = await tx.first(_FIND_BY_REFERENCE, reference=reference)
        return row.payment_id if row else ""

    async def insert(
        self, tx: Transaction, provider: str, event_id: str, event_type: str, payment_id: str, now: datetime
    ) -> bool:
        """Insert an event; returns whether it is new."""
        values = {"event_id": event_id, "type": event_type, "payment_id": payment_id}
        return await tx.run(_INSERT, provider=provider, received_at=now, **values) == 1
