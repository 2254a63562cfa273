"""Pages of queues keep room for the versions that leases write; only new pages do, old ones are left as they are."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Takes no lock that readers or writers wait for."""
    for queue in ("outbox", "payment_work"):
        op.execute(f"ALTER TABLE {queue} SET (fillfactor = 50)")
