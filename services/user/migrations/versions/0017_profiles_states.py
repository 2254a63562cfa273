"""The check of users' states is validated, which reads the table beside the calls."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Validate it."""
    op.execute("ALTER TABLE users VALIDATE CONSTRAINT users_state")
