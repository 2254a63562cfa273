"""Clients that act for people: how they authenticate, which grants they have, where people are sent back to."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add only: to the release before, every client has a secret and client credentials, which is what the defaults say."""
    op.add_column("clients", sa.Column("authentication", sa.Text, nullable=False, server_default="SECRET"))
    op.add_column(
        "clients", sa.Column("grant_types", sa.ARRAY(sa.Text), nullable=False, server_default="{CLIENT_CREDENTIALS}")
    )
    op.add_column("clients", sa.Column("redirect_uris", sa.ARRAY(sa.Text), nullable=False, server_default="{}"))
    op.add_column("clients", sa.Column("jwks", sa.Text))
    op.add_column("clients", sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"))
