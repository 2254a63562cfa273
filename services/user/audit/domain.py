"""What an audit event says."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A change: who made it, to what, from where. `fields` are names only, never values.

    `actor` is a user, a client, a service or a command; `on_behalf_of` the partner that it belongs to; `client_id` and
    `session_id` are what it came through; `subject` is the id of what changed.
    """

    audit_event_id: str
    actor: str
    subject: str
    action: str
    fields: tuple[str, ...]
    created_at: datetime
    on_behalf_of: str = ""
    client_id: str = ""
    session_id: str = ""
    mode: str = "LIVE"
    request_id: str = ""
    address: str = field(default="", repr=False)


_BOOKKEEPING = frozenset({"revision", "updated_at", "events"})


def changed_fields(before: Any, after: Any) -> tuple[str, ...]:
    """The names of the fields in which two values of one dataclass differ, without those that change with every change."""
    names = (each.name for each in fields(before) if each.name not in _BOOKKEEPING)
    return tuple(sorted(name for name in names if getattr(before, name) != getattr(after, name)))
