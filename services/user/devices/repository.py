"""Every query on known devices."""

from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from chassis.storage.database import Query, Transaction
from services.user.devices.domain import MAX_DEVICES
from services.user.devices.tables import known_devices
from services.user.ownership import of_user

_d = known_devices.c
_COUNT = Query(
    select(
        func.count().label("known"),
        func.count().filter(_d.device_hash == bindparam("device_hash")).label("this"),
    ).where(of_user(known_devices)),
    name="count devices",
)
_upsert = insert(known_devices).values(
    user_id=bindparam("user_id"), device_hash=bindparam("device_hash"), last_seen_at=bindparam("now")
)
_SEE = Query(
    _upsert.on_conflict_do_update(
        index_elements=["user_id", "device_hash"], set_={"last_seen_at": _upsert.excluded.last_seen_at}
    ),
    name="see device",
)
_surplus = (
    select(_d.user_id, _d.device_hash)
    .where(of_user(known_devices))
    .order_by(_d.last_seen_at.desc())
    .offset(MAX_DEVICES)
    .limit(1000)
)
_FORGET_SURPLUS = Query(
    delete(known_devices).where(tuple_(_d.user_id, _d.device_hash).in_(_surplus)), name="forget oldest devices"
)


class DeviceRepository:
    async def see(self, tx: Transaction, user_id: str, device_hash: bytes, now: datetime) -> tuple[int, bool]:
        """Remember a device; how many the user had before, and whether it was one of them. The user's row is locked."""
        before = await tx.one(_COUNT, user_id=user_id, device_hash=device_hash)
        await tx.run(_SEE, user_id=user_id, device_hash=device_hash, now=now)
        if before.known >= MAX_DEVICES:
            await tx.run(_FORGET_SURPLUS, user_id=user_id)
        return before.known, before.this > 0
