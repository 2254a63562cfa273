"""The table of notifications."""

from datetime import timedelta

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from chassis.security.sealed import sealed
from chassis.storage import retention
from services.notification.metadata import metadata


class Xid8(UserDefinedType[int]):
    """`xid8`: the number of a transaction, never used twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


notifications = Table(
    "notifications",
    metadata,
    # Byte order is the order of time; a language's collation would be slower and order differently.
    Column("notification_id", Text(collation="C"), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("observer", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("in_inbox", Boolean, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    # The transaction that has put it into the inbox; none where a release before has.
    Column("shown_xid", Xid8, server_default=text("pg_current_xact_id()")),
    Column("read_time", DateTime(timezone=True)),
    # The partner and the mode of the event; the partner is empty where there is none.
    Column("partner_id", Text, nullable=False, server_default=""),
    Column("mode", Text, nullable=False, server_default="LIVE"),
    # Empty of an older release: then it is that of the type.
    Column("category", Text, nullable=False, server_default=""),
    # Of what was sent on request: what it says, and to whom if not to a user.
    Column("content_sealed", LargeBinary, info=sealed("notification.content")),
    Column("channels", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("every_channel", Boolean, nullable=False, server_default=text("true")),
    Column("send_at", DateTime(timezone=True)),
    Column("expire_at", DateTime(timezone=True)),
    # The version that was published when it was accepted; empty where it has none.
    Column("template_id", Text, nullable=False, server_default=""),
    Column("template_version", Integer, nullable=False, server_default="0"),
    Column("duplicate_of", Text, nullable=False, server_default=""),
    # When a call sent it; `create_time` is when it is due.
    Column("accept_time", DateTime(timezone=True)),
    # An observer that runs twice notifies once.
    UniqueConstraint("event_id", "observer", name="notifications_once"),
    Index("notifications_shown", "shown_xid", postgresql_where=text("in_inbox")),
    Index("notifications_shown_to", "user_id", "shown_xid", "notification_id", postgresql_where=text("in_inbox")),
    Index("notifications_of_user", "user_id", "notification_id"),
    Index("notifications_inbox", "user_id", "notification_id", postgresql_where=text("in_inbox")),
    Index(
        "notifications_unread",
        "user_id",
        "notification_id",
        postgresql_where=text("in_inbox AND read_time IS NULL"),
    ),
    Index(
        "notifications_of_partner", "partner_id", "mode", "notification_id", postgresql_where=text("partner_id <> ''")
    ),
    Index("notifications_in_test", "partner_id", "notification_id", postgresql_where=text("mode = 'TEST'")),
    info={
        "owner": ("user_id", "partner_id"),
        **retention.delete(retention.Expiry("notification_id", timedelta(days=365), id_prefix="ntf")),
    },
)
"""`data` holds the variables of the templates. Of what was sent on request `observer` is empty, and `event_id` its own id."""
