"""Comparisons with the providers' books, and the differences that they found."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """New tables, and the index that lists the sandbox's charges; can be repeated after an interruption."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS sandbox_charges_created_at")
        op.execute("CREATE INDEX CONCURRENTLY sandbox_charges_created_at ON sandbox_charges (created_at)")
        op.execute("SET lock_timeout = '300ms'")
    op.create_table(
        "reconciliations",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("charges", sa.Integer, nullable=False, server_default="0"),
        sa.Column("differences", sa.Integer, nullable=False, server_default="0"),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
    )
    op.create_index("reconciliations_expiry", "reconciliations", ["started_at"])
    op.create_table(
        "payment_discrepancies",
        sa.Column("discrepancy_id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("provider", "payment_id", "kind")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("ours_minor", "theirs_minor")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("currency", "provider_reference")),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("resolved_at", _TIME),
    )
    op.create_index(
        "payment_discrepancies_open",
        "payment_discrepancies",
        ["provider", "payment_id", "kind"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index("payment_discrepancies_expiry", "payment_discrepancies", ["resolved_at"])
