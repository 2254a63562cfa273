"""Every query on counters of text messages."""

from datetime import datetime

from sqlalchemy import bindparam, case
from sqlalchemy.dialects.postgresql import insert

from chassis.security.encryption import Vault
from chassis.storage.database import Query, Transaction
from services.user.phones.domain import WINDOW
from services.user.phones.tables import text_counts
from services.user.throttling.domain import TooManyAttempts

_t = text_counts.c
_insert = insert(text_counts).values(subject=bindparam("subject"), texts=1, expires_at=bindparam("expires_at"))
_expired = _t.expires_at <= bindparam("now")
_COUNT = Query(
    _insert.on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "texts": case((_expired, 1), else_=_t.texts + 1),
            "expires_at": case((_expired, _insert.excluded.expires_at), else_=_t.expires_at),
        },
    ).returning(_t.texts, _t.expires_at),
    name="count text message",
)


class TextCountRepository:
    """Counters of requested text messages."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def spend(self, tx: Transaction, subject: str, limit: int, now: datetime) -> None:
        """Count one message. Raises `TooManyAttempts` with the retry delay; then the transaction counts nothing."""
        key = self._vault.lookup(subject, "text_counts.subject")
        row = await tx.one(_COUNT, subject=key, expires_at=now + WINDOW, now=now)
        if row.texts > limit:
            raise TooManyAttempts(retry_after=row.expires_at - now)
