"""Tables of partners' people and of the invitations to them."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Table, Text

from chassis.storage import retention
from services.user.metadata import metadata

_TIME = DateTime(timezone=True)

members = Table(
    "members",
    metadata,
    Column("partner_id", Text, ForeignKey("partners.partner_id", name="members_partner"), primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id", name="members_user", ondelete="CASCADE"), primary_key=True),
    # What tokens are revoked by: another one for who joins again.
    Column("member_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("token_generation", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False),
    Index("members_by_id", "member_id", unique=True),
    Index("members_of_user", "user_id"),
    # The person's own: exported and erased with them.
    info={"owner": ("user_id",), **retention.keep("until the person is removed or erased")},
)

invitations = Table(
    "invitations",
    metadata,
    Column(
        "code_request_id",
        Text,
        ForeignKey("code_requests.code_request_id", name="invitations_code", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("partner_id", Text, ForeignKey("partners.partner_id", name="invitations_partner"), nullable=False),
    Column("role", Text, nullable=False),
    Index("invitations_of_partner", "partner_id"),
    info={
        "owner": ("partner_id",),
        "modeless": "a partner's people are in both modes",
        **retention.keep("goes with its code"),
    },
)
