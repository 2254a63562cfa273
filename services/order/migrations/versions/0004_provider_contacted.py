"""`payments.asked` becomes `provider_contacted`; charges of the sandbox are AUTHORIZED.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A plain rename: nothing has been released yet, so no earlier release serves while this runs."""
    op.alter_column("payments", "asked", new_column_name="provider_contacted")
    op.execute("UPDATE sandbox_charges SET state = 'AUTHORIZED' WHERE state = 'AUTHORISED'")
