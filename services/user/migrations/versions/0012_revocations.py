"""Revocations of access tokens, and the generations that they name."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0012"
down_revision = "0011"


class TransactionId(UserDefinedType[int]):
    """`xid8`."""

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


def upgrade() -> None:
    """Add only: the release before goes on issuing tokens without a generation, which count as those of generation 0."""
    op.create_table(
        "revocations",
        sa.Column("xid", TransactionId, primary_key=True, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("revocations_expiry", "revocations", ["expires_at"])
    for table in ("users", "clients", "partners"):
        op.add_column(table, sa.Column("token_generation", sa.BigInteger, nullable=False, server_default="0"))
