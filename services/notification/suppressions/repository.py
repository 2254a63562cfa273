"""Every query on suppressions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from chassis import ids
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Session, Transaction
from services.notification.channels.channel import Channel
from services.notification.suppressions.domain import SuppressionReason

_ADD = Query(
    "INSERT INTO suppressions (suppression_id, channel, address_lookup, reason, delivery_id, created_at) VALUES "
    "(%(id)s, %(channel)s, %(lookup)s, %(reason)s, %(delivery_id)s, %(now)s) ON CONFLICT (channel, address_lookup, reason) "
    "DO NOTHING",
    name="add suppression",
)
_FIND = Query(
    "SELECT address_lookup, reason FROM suppressions WHERE channel = %(channel)s AND address_lookup = ANY(%(lookups)s)",
    name="find suppressions",
)
_LIST = Query(
    "SELECT suppression_id, channel, reason, delivery_id, created_at FROM suppressions "
    "WHERE suppression_id < %(after)s AND (%(channel)s = '' OR channel = %(channel)s) "
    "AND (%(reason)s = '' OR reason = %(reason)s) AND (%(lookups)s::bytea[] = '{}' OR address_lookup = ANY(%(lookups)s)) "
    "ORDER BY suppression_id DESC LIMIT %(limit)s",
    name="list suppressions",
)
_DELETE = Query("DELETE FROM suppressions WHERE suppression_id = %(id)s", name="delete suppression")


class SuppressionRepository:
    """Suppressions in the database."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def lookup(self, address: str) -> bytes:
        """The keyed hash of an e-mail address, of which case makes no difference, or of a phone number."""
        return self._vault.lookup(address.strip().lower(), "notification.address")

    async def add(
        self,
        session: Session | Transaction | Database,
        channel: Channel,
        lookup: bytes,
        reason: SuppressionReason,
        now: datetime,
        delivery_id: str = "",
    ) -> None:
        """Add one, unless there is one of this reason."""
        values = {"channel": channel.value, "lookup": lookup, "reason": reason.value, "delivery_id": delivery_id}
        await session.run(_ADD, id=ids.new("sup", now), now=now, **values)

    async def find(self, channel: Channel, addresses: Iterable[str]) -> Mapping[bytes, Sequence[SuppressionReason]]:
        """The reasons of each address, by `lookup`; none where it is not suppressed."""
        found: dict[bytes, list[SuppressionReason]] = {self.lookup(address): [] for address in addresses}
        if found:
            for row in await self._database.all(_FIND, channel=channel.value, lookups=list(found)):
                found[bytes(row.address_lookup)].append(SuppressionReason(row.reason))
        return found

    async def list(self, limit: int, after: str, filters: Mapping[str, str]) -> Sequence[Row]:
        """Newest first. `filters`: `channel`, `reason` and `address`, or none of them."""
        address = filters.get("address", "")
        return await self._database.all(
            _LIST,
            after=after,
            limit=limit,
            channel=filters.get("channel", ""),
            reason=filters.get("reason", ""),
            lookups=[self.lookup(address)] if address else [],
        )

    async def delete(self, suppression_id: str) -> bool:
        """Whether there was one."""
        return await self._database.run(_DELETE, id=suppression_id) > 0
