"""Refunds, requested ones included, stay within what was captured."""

from alembic import op

revision = "0010"
down_revision = "0009"
_WITHIN = "payments_refunds_within_captured"


def upgrade() -> None:
    """Can be repeated after an interruption."""
    with op.get_context().autocommit_block():
        # Added without a look at the rows, which another transaction checks: neither keeps writers waiting.
        op.execute(f"ALTER TABLE payments DROP CONSTRAINT IF EXISTS {_WITHIN}")
        op.execute(
            f"ALTER TABLE payments ADD CONSTRAINT {_WITHIN} "
            "CHECK (0 <= refunding_minor AND refunded_minor + refunding_minor <= captured_minor) NOT VALID"
        )
        op.execute(f"ALTER TABLE payments VALIDATE CONSTRAINT {_WITHIN}")
