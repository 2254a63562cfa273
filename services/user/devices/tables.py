"""Table of the devices and networks that users have signed in from."""

from sqlalchemy import Column, DateTime, ForeignKey, Index, LargeBinary, Table, Text

from chassis.storage import retention
from services.user.devices.domain import LIFETIME
from services.user.metadata import metadata

_TIME = DateTime(timezone=True)

known_devices = Table(
    "known_devices",
    metadata,
    Column(
        "user_id", Text, ForeignKey("users.user_id", name="known_devices_user", ondelete="CASCADE"), primary_key=True
    ),
    # A keyed hash of user, family of the user agent, and network: nobody's address can be read from it.
    Column("device_hash", LargeBinary, primary_key=True),
    Column("last_seen_at", _TIME, nullable=False),
    Index("known_devices_last_seen", "last_seen_at"),
    info={"owner": ("user_id",), **retention.delete(retention.Expiry("last_seen_at", LIFETIME))},
)
