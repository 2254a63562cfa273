"""Every query on the events of payment providers."""

from datetime import datetime

from chassis.storage.database import Query, Transaction

# any owner: the provider is known by its signature
_FIND = Query("SELECT payment_id FROM payments WHERE payment_id = %(payment_id)s", name="find payment of event")
# any owner: the provider is known by its signature
_FIND_BY_REFERENCE = Query(
    "SELECT payment_id FROM payments WHERE provider_reference = %(reference)s "
    "AND provider_reference LIKE 'pi\\_%%'",  # matches the condition of the index
    name="find payment of event by reference",
)
_INSERT = Query(
    "INSERT INTO provider_events (provider, event_id, type, payment_id, received_at) "
    "VALUES (%(provider)s, %(event_id)s, %(type)s, %(payment_id)s, %(now)s) ON CONFLICT DO NOTHING",
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
        return await tx.run(_INSERT, provider=provider, now=now, **values) == 1
