"""Returns of orders."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """A column of its own: the release before writes the document of the fulfilment whole."""
    op.add_column("orders", sa.Column("returns", JSONB))
