"""The ledger is append-only for the role that serves."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from chassis.storage import database, migrations
from services.order.tables import metadata


@pytest.fixture
def serving(postgres_url: str, service_database) -> Iterator[str]:
    """The URL of a role that serves the database of the test."""
    url = database.of_service(postgres_url, service_database("order"), "order")
    role = f"serving_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'serving'")
    migrations.grant(url, role, metadata)
    yield psycopg.conninfo.make_conninfo(url, user=role, password="serving")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_who_serves_appends_movements_and_can_neither_change_nor_delete(serving: str) -> None:
    with psycopg.connect(serving, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO payment_movements (payment_id, order_id, kind, amount_minor, currency, attempt, provider_reference, "
            "created_at) VALUES ('pay_1', 'ord_1', 'CAPTURED', 1, 'EUR', 1, '', now())"
        )
        for statement in (
            "UPDATE payment_movements SET amount_minor = 2",
            "DELETE FROM payment_movements",
            "TRUNCATE payment_movements",
            "SELECT 1 FROM payment_movements FOR UPDATE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        assert connection.execute("SELECT sum(amount_minor) FROM payment_movements").fetchone() == (1,)
