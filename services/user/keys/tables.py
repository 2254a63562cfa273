"""Table of signing keys."""

from sqlalchemy import (
    Column,
    DateTime,
    LargeBinary,
    Table,
    Text,
)

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.user.metadata import metadata

PRIVATE = "signing_key.private"

_TIME = DateTime(timezone=True)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("private_sealed", LargeBinary, nullable=False, info=sealed(PRIVATE)),
    Column("created_at", _TIME, nullable=False),
    Column("signs_from", _TIME, nullable=False),
    info=retention.keep("the rotation deletes a key when no valid token is signed with it"),
)
