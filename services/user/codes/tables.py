"""Table of requested codes."""

from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.user.metadata import metadata

ADDRESS = "code_request.address"

_TIME = DateTime(timezone=True)

code_requests = Table(
    "code_requests",
    metadata,
    Column("code_request_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.user_id", name="code_requests_user", ondelete="CASCADE")),
    Column("address_sealed", LargeBinary, nullable=False, info=sealed(ADDRESS, shown=True)),
    Column("address_lookup", LargeBinary, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("code_hash", LargeBinary),
    Column("code_expires_at", _TIME),
    Column("attempts", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Index("code_requests_once", "kind", "requester", unique=True),
    Index("code_requests_by_address", "kind", "address_lookup"),
    Index("code_requests_of_user", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    Index("code_requests_expiry", "expires_at"),
    info={"owner": ("user_id",), **retention.delete(retention.Expiry("expires_at"))},
)
"""`requester`: the user's id, or of strangers the keyed hashes of the address that they name and of their network."""
