"""The catalogue, orders with their lines and changes, payments, the sandbox's books, and the queues.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


class TransactionId(UserDefinedType[int]):
    """`xid8`."""

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


def upgrade() -> None:
    """Create everything."""
    _create_products()
    _create_orders()
    _create_order_changes()
    _create_payments()
    _create_idempotency()
    _create_queue("outbox")
    _create_queue("payment_work")


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _text(name: str, default: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def _create_products() -> None:
    op.create_table(
        "products",
        sa.Column("product_id", sa.Text, primary_key=True),
        _text("partner_id"),
        _text("title"),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        _text("currency"),
        sa.Column("stock", sa.BigInteger, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint("stock >= 0", name="products_stock_not_negative"),
        postgresql_with={"fillfactor": "50"},
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Text, primary_key=True),
        _text("customer_id"),
        _text("partner_id"),
        _text("currency"),
        sa.Column("total_minor", sa.BigInteger, nullable=False),
        _text("state"),
        _text("payment_id"),
        _text("payment_state"),
        _text("external_reference"),
        _text("note"),
        _text("reason", default=""),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("events", sa.Integer, nullable=False, server_default="1"),
        _time("created_at"),
        _time("updated_at"),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("orders_customer", "orders", ["customer_id", "order_id"])
    op.create_index(
        "orders_partner", "orders", ["partner_id", "order_id"], postgresql_where=sa.text("partner_id <> ''")
    )
    op.create_index(
        "orders_external_reference",
        "orders",
        ["external_reference", sa.text("COALESCE(NULLIF(partner_id, ''), order_id)")],
        unique=True,
        postgresql_where=sa.text("external_reference <> ''"),
    )
    op.create_index("orders_pending", "orders", ["created_at"], postgresql_where=sa.text("state = 'PENDING'"))
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True),
        _text("product_id"),
        _text("title"),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger, nullable=False),
    )


def _create_order_changes() -> None:
    op.create_table(
        "order_changes",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("xid", TransactionId, nullable=False, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True)),
        _text("customer_id"),
        _text("partner_id"),
        _text("state"),
        _text("payment_state"),
        _text("reason"),
        _text("actor"),
        _time("changed_at"),
    )
    op.create_index("order_changes_feed", "order_changes", ["xid", "seq"])
    op.create_index("order_changes_customer", "order_changes", ["customer_id", "xid", "seq"])
    op.create_index(
        "order_changes_partner",
        "order_changes",
        ["partner_id", "xid", "seq"],
        postgresql_where=sa.text("partner_id <> ''"),
    )


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("payment_id", sa.Text, primary_key=True),
        _text("order_id"),
        _text("method"),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        _text("currency"),
        _text("state"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
        sa.Column("asked", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("captured_minor", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("refunded_minor", sa.BigInteger, nullable=False, server_default="0"),
        _text("failure_reason", default=""),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint(
            "0 <= refunded_minor AND refunded_minor <= captured_minor AND captured_minor <= amount_minor",
            name="payments_amounts_in_order",
        ),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_table(
        "sandbox_charges",
        sa.Column("key", sa.Text, primary_key=True),
        _text("method"),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        _text("currency"),
        _text("state"),
        _text("reason"),
        _time("settles_at"),
        _time("created_at"),
    )


def _create_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.LargeBinary, nullable=False),
        _time("created_at"),
    )
    op.create_index("idempotency_created_at", "idempotency", ["created_at"])


def _create_queue(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        _text("kind"),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        _text("traceparent", default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        _time("due"),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        _text("state", default="ready"),
        _text("error", default=""),
        _time("created_at"),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
    )
    op.create_index(f"{name}_due", name, ["due"], postgresql_where=sa.text("state = 'ready'"))
    op.create_index(f"{name}_finished", name, ["finished_at"], postgresql_where=sa.text("state <> 'ready'"))
