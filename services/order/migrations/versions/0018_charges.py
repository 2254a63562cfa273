"""Shipping addresses, and charges: of orders, and the table that they come from. Encrypted replies say whom they name."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """The release before leaves the new columns as they are: its orders have no address and no charges."""
    op.add_column("orders", sa.Column("shipping_address_sealed", sa.LargeBinary))
    op.add_column("orders", sa.Column("charges", JSONB))
    op.add_column("order_lines", sa.Column("tax_minor", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("idempotency", sa.Column("users", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "charge_tables",
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("charges", JSONB, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
