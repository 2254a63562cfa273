"""Every query on devices. Subscriptions are encrypted."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import bindparam, delete, select

from chassis import ids
from chassis.security.encryption import Vault
from chassis.storage.database import Database, Query, Row, Transaction
from services.notification.channels.push.subscriptions import Device, Subscription
from services.notification.devices.domain import MAX_DEVICES
from services.notification.devices.tables import devices
from services.notification.ownership import of_person

CONTEXT = "notification.subscription"
_d = devices.c

# The persons' own, one at a time: two registrations of one person do not both make room.
_LIST = Query(select(devices).where(of_person(devices)).order_by(_d.device_id), name="list devices")
_LOCK = Query("SELECT pg_advisory_xact_lock(hashtextextended('devices ' || %(user_id)s, 0))", name="lock devices")
# any owner: a browser belongs to who has registered it last; what is erased stays so
_UPSERT = Query(
    "INSERT INTO devices AS d (device_id, user_id, endpoint_lookup, subscription_sealed, created_at, updated_at) "
    "SELECT %(id)s, %(user_id)s, %(lookup)s, %(sealed)s, %(now)s, %(now)s "
    "WHERE NOT EXISTS (SELECT FROM erased_persons WHERE user_id = %(user_id)s) ON CONFLICT (endpoint_lookup) DO UPDATE SET "
    "user_id = EXCLUDED.user_id, subscription_sealed = EXCLUDED.subscription_sealed, "
    "updated_at = GREATEST(EXCLUDED.updated_at, d.updated_at + interval '1 microsecond') "
    "RETURNING device_id, subscription_sealed, created_at, updated_at",
    name="upsert device",
)
_surplus = (
    select(_d.device_id)
    .where(of_person(devices))
    .order_by(_d.updated_at.desc(), _d.device_id.desc())
    .offset(bindparam("max"))
)
_DELETE_SURPLUS = Query(
    delete(devices).where(of_person(devices), _d.device_id.in_(_surplus)), name="delete oldest devices"
)
_DELETE = Query(delete(devices).where(of_person(devices), _d.device_id == bindparam("device_id")), name="delete device")
# any owner: of a subscription that its push service does not know; not if it was registered again meanwhile
_DELETE_UNCHANGED = Query(
    delete(devices).where(_d.device_id == bindparam("device_id"), _d.updated_at == bindparam("updated_at")),
    name="delete unchanged device",
)


class DeviceRepository:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def list(self, user_id: str) -> Sequence[Device]:
        """All of a person, the oldest first."""
        return [self._read(row) for row in await self._database.all(_LIST, user_id=user_id)]

    async def upsert(self, tx: Transaction, user_id: str, subscription: Subscription, now: datetime) -> Device | None:
        """Store a subscription, the newest of the person's; None of who is erased."""
        sealed = self._vault.seal(json.dumps(asdict(subscription)).encode(), CONTEXT)
        lookup = self._vault.lookup(subscription.endpoint, CONTEXT)
        await tx.run(_LOCK, user_id=user_id)
        row = await tx.first(_UPSERT, id=ids.new("dev", now), user_id=user_id, lookup=lookup, sealed=sealed, now=now)
        await tx.run(_DELETE_SURPLUS, user_id=user_id, max=MAX_DEVICES)
        return self._read(row) if row else None

    async def delete(self, user_id: str, device_id: str) -> bool:
        """Delete a device of a person; returns whether there was one."""
        return await self._database.run(_DELETE, user_id=user_id, device_id=device_id) > 0

    async def delete_unchanged(self, device: Device) -> None:
        """Delete a device, unless it has changed since it was read."""
        await self._database.run(_DELETE_UNCHANGED, device_id=device.device_id, updated_at=device.updated_at)

    def _read(self, row: Row) -> Device:
        subscription = Subscription(**json.loads(self._vault.open(bytes(row.subscription_sealed), CONTEXT)))
        return Device(row.device_id, subscription, row.created_at, row.updated_at)
