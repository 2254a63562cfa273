"""The ledger of payments, refunds, and what a payment waits for; the sandbox's sums and what it does later."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
_TIME = sa.DateTime(timezone=True)
_REVOKE = """
DO $$
DECLARE
  given record;
BEGIN
  FOR given IN
    SELECT DISTINCT grantee FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND table_name = 'payment_movements' AND grantee <> current_user
  LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON payment_movements FROM %I', given.grantee);
  END LOOP;
END $$
"""


def upgrade() -> None:
    """New tables, and columns with defaults: the release before this one writes rows without them."""
    for name, default in (("capture_when", "AT_ONCE"), ("provider_reference", ""), ("next_action", "")):
        op.add_column("payments", sa.Column(name, sa.Text, nullable=False, server_default=default))
    op.add_column("payments", sa.Column("confirming", sa.Boolean, nullable=False, server_default="false"))
    for name in ("capture_minor", "refunding_minor"):
        op.add_column("payments", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("payments", sa.Column("refund_count", sa.Integer, nullable=False, server_default="0"))
    for name in ("authorized_minor", "charged_back_minor"):
        op.add_column("payments", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    for name in ("captured_minor", "refunded_minor", "charged_back_minor"):
        op.add_column("sandbox_charges", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("sandbox_charges", sa.Column("captures", sa.Integer, nullable=False, server_default="0"))
    op.add_column("sandbox_charges", sa.Column("event_at", _TIME))
    op.create_index(
        "sandbox_charges_event_at", "sandbox_charges", ["event_at"], postgresql_where=sa.text("event_at IS NOT NULL")
    )
    _create_movements()
    _create_refunds()


def _create_movements() -> None:
    op.create_table(
        "payment_movements",
        sa.Column("payment_id", sa.Text, primary_key=True),
        sa.Column("movement_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("order_id", "kind")),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("provider_reference", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="payment_movements_amount_positive"),
    )
    op.execute(_REVOKE)  # a default of the database may have opened the table to the role that serves


def _create_refunds() -> None:
    op.create_table(
        "payment_refunds",
        sa.Column("refund_id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("payment_id", "order_id")),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("state", "reason", "failure", "return_id", "actor")),
        *(sa.Column(name, _TIME, nullable=False) for name in ("created_at", "updated_at")),
    )
    op.create_index("payment_refunds_payment", "payment_refunds", ["payment_id", "refund_id"])
    op.create_table(
        "sandbox_refunds",
        sa.Column("refund_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
