"""Pages of queues keep room for the versions that leases write; only new pages do, old ones are left as they are."""

from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Takes no lock that readers or writers wait for."""
    for queue in ("erasure_jobs", "outbox"):
        op.execute(f"ALTER TABLE {queue} SET (fillfactor = 50)")
