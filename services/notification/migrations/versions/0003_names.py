"""Names: `event_jobs`, `email_jobs`, `data`, `response`, `TOO_MANY_ATTEMPTS`, and observers called after their event.

Before the first release: no older release serves beside this one, so the renames are done in one step. After it they would
be an expansion and a contraction (docs/decisions/0066).
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_QUEUES = {"observations": "event_jobs", "mails": "email_jobs"}
_OBSERVERS = {
    "tell_of_placing": "notify_order_placed",
    "tell_of_confirmation": "notify_order_confirmed",
    "tell_of_cancellation": "notify_order_cancelled",
    "tell_of_expiry": "notify_order_expired",
    "tell_of_failed_payment": "notify_payment_failed",
    "tell_of_refund": "notify_payment_refunded",
    "mail_first_code": "notify_user_signed_up",
    "mail_new_code": "notify_user_verification_requested",
    "invite": "notify_user_invited",
    "welcome": "notify_user_verified",
}
_RENAME_IN_JOBS = sa.text(
    "UPDATE event_jobs SET kind = :new, key = split_part(key, '/', 1) || '/' || :new WHERE kind = :old"
)
_RENAME_IN_NOTIFICATIONS = sa.text("UPDATE notifications SET observer = :new WHERE observer = :old")


def upgrade() -> None:
    """Rename tables with what belongs to them, columns, and the values that name an observer or a reason."""
    for old, new in _QUEUES.items():
        op.rename_table(old, new)
        for index in ("pkey", "key_key", "due", "finished"):
            op.execute(f"ALTER INDEX {old}_{index} RENAME TO {new}_{index}")
        op.execute(f"ALTER SEQUENCE {old}_id_seq RENAME TO {new}_id_seq")
    op.alter_column("notifications", "facts", new_column_name="data")
    op.alter_column("attempts", "answer", new_column_name="response")
    op.execute("UPDATE deliveries SET reason = 'TOO_MANY_ATTEMPTS' WHERE reason = 'TRIED_TOO_OFTEN'")
    connection = op.get_bind()
    for old, new in _OBSERVERS.items():
        # An observer's name is part of what makes its job and its notification unique.
        names = {"old": old, "new": new}
        connection.execute(_RENAME_IN_JOBS, names)
        connection.execute(_RENAME_IN_NOTIFICATIONS, names)
