"""Pages of queues keep room for the versions that leases write; only new pages do, old ones are left as they are."""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Takes no lock that readers or writers wait for."""
    for queue in (
        "dispatch_jobs",
        "digest_jobs",
        "email_jobs",
        "event_jobs",
        "push_jobs",
        "sms_jobs",
        "webhook_notice_jobs",
    ):
        op.execute(f"ALTER TABLE {queue} SET (fillfactor = 50)")
