"""The first tables."""

from alembic import op

from tests.chassis.probe.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    metadata.create_all(op.get_bind())
