"""Indexes of users by partner have the mode. The release before finds the same names, and what it reads by them."""

from alembic import op

revision = "0008"
down_revision = "0007"

_NEW = {
    "users_of_partner": "CREATE INDEX CONCURRENTLY {} ON users (partner_id, mode, user_id)",
    "users_external_reference": "CREATE UNIQUE INDEX CONCURRENTLY {} ON users "
    "(partner_id, external_reference, mode) NULLS NOT DISTINCT WHERE external_reference IS NOT NULL",
}


def upgrade() -> None:
    """Each index is built beside the old one, which is then replaced by it."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, statement in _NEW.items():
            # One that an interrupted migration left is invalid.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}_of_mode")
            op.execute(statement.format(f"{name}_of_mode"))
        op.execute("SET lock_timeout = '300ms'")
    for name in _NEW:
        op.drop_index(name, "users")
        op.execute(f"ALTER INDEX {name}_of_mode RENAME TO {name}")
