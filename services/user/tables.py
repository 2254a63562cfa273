"""Tables of the user service. `*_sealed` columns are encrypted; secrets are hashed; `*_lookup` columns are keyed hashes.

Each noun has its own `tables`; this module gathers them, and has those that belong to no noun.
"""

from chassis.queues import queue
from chassis.rpc import idempotency
from services.user.accounts import tables as _accounts
from services.user.audit import tables as _audit
from services.user.codes import tables as _codes
from services.user.consents import tables as _consents
from services.user.devices import tables as _devices
from services.user.erasure import tables as _erasure
from services.user.keys import tables as _keys
from services.user.members import tables as _members
from services.user.metadata import metadata
from services.user.partners import tables as _partners
from services.user.passkeys import tables as _passkeys
from services.user.phones import tables as _phones
from services.user.revocations import tables as _revocations
from services.user.sessions import tables as _sessions
from services.user.throttling import tables as _throttling
from services.user.totp import tables as _totp
from services.user.usage import tables as _usage
from services.user.users import tables as _users

outbox = queue.table("outbox", metadata)

paused_queues = queue.pauses(metadata)

idempotency_records = idempotency.table(metadata)

NOUNS = (
    _accounts,
    _audit,
    _codes,
    _consents,
    _devices,
    _erasure,
    _keys,
    _members,
    _partners,
    _phones,
    _revocations,
    _passkeys,
    _sessions,
    _throttling,
    _totp,
    _usage,
    _users,
)
"""The modules whose tables `metadata` gathers."""

__all__ = ["NOUNS", "idempotency_records", "metadata", "outbox", "paused_queues"]
