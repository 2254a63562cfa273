"""The audit trail, which the role that serves can only append to."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_REVOKE = """
DO $$
DECLARE
  given record;
BEGIN
  FOR given IN
    SELECT DISTINCT grantee FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND table_name = 'audit_events' AND grantee <> current_user
  LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit_events FROM %I', given.grantee);
  END LOOP;
END $$
"""
# Runs with the rights of the owner, and deletes only what is over by the database's clock: the 400 days of
# services/user/audit/tables.py.
_EXPIRE = """
CREATE FUNCTION expire_audit_events(batch int) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH expired AS (
    DELETE FROM public.audit_events WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM public.audit_events WHERE created_at < now() - interval '400 days'
      ORDER BY created_at LIMIT least(batch, 10000) FOR UPDATE SKIP LOCKED
    )) RETURNING 1
  )
  SELECT count(*)::int FROM expired
$$
"""


def upgrade() -> None:
    """Add table and function; a default of the database may have opened the table to the role that serves."""
    op.create_table(
        "audit_events",
        sa.Column("audit_event_id", sa.Text, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("on_behalf_of", sa.Text),
        sa.Column("client_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("fields", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("address_sealed", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    for name in ("actor", "subject", "action"):
        op.create_index(f"audit_events_by_{name}", "audit_events", [name, "audit_event_id"])
    op.create_index("audit_events_expiry", "audit_events", ["created_at"])
    op.execute(_REVOKE)
    op.execute(_EXPIRE)
