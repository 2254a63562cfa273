"""Every query of devices."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from chassis import ids
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction
from services.notification.channels.push.subscriptions import Device, Subscription
from services.notification.devices.domain import MAX_DEVICES
from services.notification.ownership import OF_PERSON

CONTEXT = "notification.subscription"
_COLUMNS = "device_id, subscription_sealed, created_at, updated_at"

# The persons' own, one at a time: two registrations of one person do not both make room.
_LOCK = Query("SELECT pg_advisory_xact_lock(hashtextextended('devices ' || %(user_id)s, 0))", name="lock devices")
# any owner: a browser belongs to who has registered it last; what is erased stays so
_PUT = Query(
    "INSERT INTO devices AS d (device_id, user_id, endpoint_lookup, subscription_sealed, created_at, updated_at) "  # noqa: S608 - our own names
    "SELECT %(id)s, %(user_id)s, %(lookup)s, %(sealed)s, %(now)s, %(now)s "
    "WHERE NOT EXISTS (SELECT FROM erased_persons WHERE user_id = %(user_id)s) ON CONFLICT (endpoint_lookup) DO UPDATE SET "
    "user_id = EXCLUDED.user_id, subscription_sealed = EXCLUDED.subscription_sealed, "
    "updated_at = GREATEST(EXCLUDED.updated_at, d.updated_at + interval '1 microsecond') "
    f"RETURNING {_COLUMNS}",
    name="put device",
)
_MAKE_ROOM = Query(
    f"DELETE FROM devices WHERE {OF_PERSON} AND device_id IN (SELECT device_id FROM devices "  # noqa: S608 - our own names
    f"WHERE {OF_PERSON} ORDER BY updated_at DESC, device_id DESC OFFSET %(max)s)",
    name="make room for device",
)
_LIST = Query(f"SELECT {_COLUMNS} FROM devices WHERE {OF_PERSON} ORDER BY device_id", name="list devices")  # noqa: S608
_REMOVE = Query(f"DELETE FROM devices WHERE {OF_PERSON} AND device_id = %(id)s", name="remove device")  # noqa: S608
# any owner: of a subscription that its push service does not know; not if it was registered again meanwhile
_FORGET = Query("DELETE FROM devices WHERE device_id = %(id)s AND updated_at = %(updated_at)s", name="forget device")


class DeviceRepository:
    """Devices in the database."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def put(self, tx: Transaction, user_id: str, subscription: Subscription, now: datetime) -> Device | None:
        """Store a subscription, the newest of the person's; None of who is erased."""
        sealed = self._vault.seal(json.dumps(asdict(subscription)).encode(), CONTEXT)
        lookup = self._vault.lookup(subscription.endpoint, CONTEXT)
        await tx.run(_LOCK, user_id=user_id)
        row = await tx.first(_PUT, id=ids.new("dev", now), user_id=user_id, lookup=lookup, sealed=sealed, now=now)
        await tx.run(_MAKE_ROOM, user_id=user_id, max=MAX_DEVICES)
        return self._read(row) if row is not None else None

    async def list(self, user_id: str) -> Sequence[Device]:
        """Those of a person, by id."""
        return [self._read(row) for row in await self._database.all(_LIST, user_id=user_id)]

    async def remove(self, user_id: str, device_id: str) -> bool:
        """Whether the person had it."""
        return await self._database.run(_REMOVE, user_id=user_id, id=device_id) > 0

    async def forget(self, device: Device) -> None:
        """Remove one as it was read."""
        await self._database.run(_FORGET, id=device.device_id, updated_at=device.updated_at)

    def _read(self, row: Row) -> Device:
        subscription = Subscription(**json.loads(self._vault.open(bytes(row.subscription_sealed), CONTEXT)))
        return Device(row.device_id, subscription, row.created_at, row.updated_at)
