"""Changes of users are announced, so that no replica answers with what it has cached of before."""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add only."""
    op.execute(
        """
        CREATE OR REPLACE FUNCTION announce_change_of_user() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('users_changed', OLD.user_id);
            RETURN NULL;
        END $$
        """
    )
    # Every change of what others see counts the revision; counters, passwords and re-encryption do not.
    op.execute(
        """
        CREATE OR REPLACE TRIGGER users_changed AFTER UPDATE ON users FOR EACH ROW
        WHEN (OLD.revision IS DISTINCT FROM NEW.revision) EXECUTE FUNCTION announce_change_of_user()
        """
    )
    op.execute(
        """
        CREATE OR REPLACE TRIGGER users_deleted AFTER DELETE ON users FOR EACH ROW
        EXECUTE FUNCTION announce_change_of_user()
        """
    )
