"""An index of the few users who are admins."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add it."""
    op.create_index("users_admins", "users", ["user_id"], postgresql_where=sa.text("'admin' = ANY (roles)"))
