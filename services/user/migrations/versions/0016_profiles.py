"""Names, addresses and time zone of users; the states of accounts that are locked or erased."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_STATES = "state IN ('INITIAL', 'ACTIVE', 'INACTIVE', 'LOCKED', 'DELETED')"


def upgrade() -> None:
    """Add columns without defaults, which the release before leaves empty, and widen the check."""
    op.add_column("users", sa.Column("profile_sealed", sa.LargeBinary))
    op.add_column("users", sa.Column("time_zone", sa.Text))
    op.drop_constraint("users_state", "users")
    # The next revision validates it, without a lock that calls would wait for.
    op.execute(f"ALTER TABLE users ADD CONSTRAINT users_state CHECK ({_STATES}) NOT VALID")
