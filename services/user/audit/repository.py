"""Every query on audit events. The network address is encrypted; there is no update and no deletion."""

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Query, Transaction
from services.user.audit.domain import AuditEvent
from services.user.audit.tables import audit_events

ADDRESS = "audit_event.address"

_INSERT = Query(
    insert(audit_events).values({column.name: bindparam(column.name) for column in audit_events.columns}),
    name="insert audit event",
)


class AuditRepository:
    """Audit events."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def insert(self, tx: Transaction, event: AuditEvent) -> None:
        """Append an event, in the transaction of the change that it reports."""
        await tx.run(
            _INSERT,
            audit_event_id=event.audit_event_id,
            actor=event.actor,
            on_behalf_of=event.on_behalf_of or None,
            client_id=event.client_id or None,
            session_id=event.session_id or None,
            mode=event.mode,
            subject=event.subject,
            action=event.action,
            fields=list(event.fields),
            request_id=event.request_id,
            address_sealed=self._vault.seal(event.address.encode(), ADDRESS) if event.address else None,
            created_at=event.created_at,
        )
