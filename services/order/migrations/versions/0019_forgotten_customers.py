"""An order that changes its customer loses what that person said, whichever release changes it."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Only an erasure changes the customer. One by a release before leaves columns that it does not know."""
    op.execute(
        """
        CREATE OR REPLACE FUNCTION forget_customer() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.note := '';
            NEW.reason := '';
            NEW.metadata := NULL;
            NEW.shipping_address_sealed := NULL;
            NEW.returns := (SELECT jsonb_agg(made || '{"reason": ""}'::jsonb) FROM jsonb_array_elements(NEW.returns) AS r(made));
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE OR REPLACE TRIGGER orders_forget_customer BEFORE UPDATE OF customer_id ON orders FOR EACH ROW
        WHEN (OLD.customer_id <> NEW.customer_id) EXECUTE FUNCTION forget_customer()
        """
    )
