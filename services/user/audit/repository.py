"""Every query on audit events. The network address is encrypted; there is no update and no deletion."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction, newest_first
from services.user.audit.domain import AuditEvent
from services.user.audit.tables import ADDRESS, audit_events

_e = audit_events.c
_INSERT = Query(
    insert(audit_events).values({column.name: bindparam(column.name) for column in audit_events.columns}),
    name="insert audit event",
)
_FILTERS = {
    "actor": _e.actor == bindparam("actor"),
    "subject": _e.subject == bindparam("subject"),
    "action": _e.action == bindparam("action"),
    "start": _e.audit_event_id >= bindparam("start"),
    "end": _e.audit_event_id < bindparam("end"),
}


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    found = select(audit_events).where(*(_FILTERS[name] for name in sorted(filters)))
    return Query(newest_first(found, _e.audit_event_id), name="list audit events")


class AuditRepository:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def list(self, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[AuditEvent]:
        """Up to `limit` events older than `after`, newest first.

        `filters`: `actor`, `subject`, `action`, and the ids `start` and `end`.
        """
        rows = await self._database.all(_list(frozenset(filters)), limit=limit, after=after, **filters)
        return [self._read(row) for row in rows]

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

    def _read(self, row: Row) -> AuditEvent:
        return AuditEvent(
            audit_event_id=row.audit_event_id,
            actor=row.actor,
            subject=row.subject,
            action=row.action,
            fields=tuple(row.fields),
            created_at=row.created_at,
            on_behalf_of=row.on_behalf_of or "",
            client_id=row.client_id or "",
            session_id=row.session_id or "",
            mode=row.mode,
            request_id=row.request_id,
            address=self._vault.open(row.address_sealed, ADDRESS).decode() if row.address_sealed else "",
        )
