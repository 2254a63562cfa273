"""Every query on suppressions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, LargeBinary, any_, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from chassis import ids
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Session, Transaction, newest_first
from services.notification.channels.channel import Channel
from services.notification.suppressions.domain import SuppressionReason
from services.notification.suppressions.tables import suppressions

_s = suppressions.c
_INSERT = Query(
    insert(suppressions)
    .values({column.name: bindparam(column.name) for column in suppressions.columns})
    .on_conflict_do_nothing(index_elements=["channel", "address_lookup", "reason"]),
    name="insert suppression",
)
_FIND = Query(
    select(_s.address_lookup, _s.reason).where(
        _s.channel == bindparam("channel"),
        _s.address_lookup == any_(bindparam("lookups", type_=ARRAY(LargeBinary))),
    ),
    name="find suppressions",
)
_DELETE = Query(delete(suppressions).where(_s.suppression_id == bindparam("suppression_id")), name="delete suppression")
_FILTERS = {
    "channel": _s.channel == bindparam("channel"),
    "reason": _s.reason == bindparam("reason"),
    "address": _s.address_lookup == bindparam("address"),
}


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    found = select(suppressions).where(*(_FILTERS[name] for name in sorted(filters)))
    return Query(newest_first(found, _s.suppression_id), name="list suppressions")


class SuppressionRepository:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def lookup(self, address: str) -> bytes:
        """The keyed hash of an e-mail address, of which case makes no difference, or of a phone number."""
        return self._vault.lookup(address.strip().lower(), "notification.address")

    async def insert_if_absent(
        self,
        session: Session | Transaction | Database,
        channel: Channel,
        lookup: bytes,
        reason: SuppressionReason,
        now: datetime,
        delivery_id: str = "",
    ) -> None:
        """Insert one, unless there is one of this reason."""
        values = {"channel": channel.value, "address_lookup": lookup, "reason": reason.value}
        await session.run(
            _INSERT, suppression_id=ids.new("sup", now), delivery_id=delivery_id, created_at=now, **values
        )

    async def find_reasons(
        self, channel: Channel, addresses: Iterable[str]
    ) -> Mapping[bytes, Sequence[SuppressionReason]]:
        """The reasons of each address, by `lookup`; none where it is not suppressed."""
        found: dict[bytes, list[SuppressionReason]] = {self.lookup(address): [] for address in addresses}
        if found:
            for row in await self._database.all(_FIND, channel=channel.value, lookups=list(found)):
                found[bytes(row.address_lookup)].append(SuppressionReason(row.reason))
        return found

    async def list(self, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Row]:
        """Up to `limit` suppressions older than `after`, newest first. `filters`: `channel`, `reason`, `address`."""
        values = {**filters, "address": self.lookup(filters["address"])} if "address" in filters else filters
        return await self._database.all(_list(frozenset(filters)), limit=limit, after=after, **values)

    async def delete(self, suppression_id: str) -> bool:
        """Whether there was one."""
        return await self._database.run(_DELETE, suppression_id=suppression_id) > 0
