"""The audit trail: every change leaves who, what, for whom and from where, and nobody who serves can change it."""

import secrets
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from weft.user.v1.auth_service_pb2 import RefreshRequest, SignOutRequest
from weft.user.v1.partner_service_pb2 import RevokeClientRequest, SuspendPartnerRequest
from weft.user.v1.user_service_pb2 import CreateUserRequest

from chassis.storage import database, migrations
from services.user.audit.tables import ADDRESS
from services.user.tables import metadata
from tests.harness import assert_refused
from tests.user.world import World, change

INSERT = (
    "INSERT INTO audit_events (audit_event_id, actor, mode, subject, action, fields, request_id, created_at) "
    "VALUES (%s, 'usr_1', 'LIVE', 'usr_1', 'user.created', '{}', '', now() - %s::interval)"
)


async def trail(world: World) -> list[tuple[str, str, str, list[str]]]:
    """Action, actor, subject and fields of what is new, oldest first."""
    rows = await world.rows("SELECT action, actor, subject, fields FROM audit_events ORDER BY ctid")
    return [tuple(row) for row in rows]


async def test_changes_are_recorded_with_who_made_them(world: World) -> None:
    person = await world.person("ada")
    operator = await world.operator()
    partner = await world.partner(operator)
    client = await world.client(operator, partner)
    metadata = await world.client_metadata(client)
    customer = await world.users.CreateUser(CreateUserRequest(email=world.email("cus")), metadata=metadata)
    await change(world, operator, partner, display_name="Acme and Sons")
    await change(world, operator, partner, display_name="Acme and Sons")  # changes nothing, so it is no event
    await world.partners.SuspendPartner(
        SuspendPartnerRequest(partner_id=partner.partner_id), metadata=operator.metadata
    )
    request = RevokeClientRequest(partner_id=partner.partner_id, client_id=client.client_id)
    for _ in range(2):
        await world.partners.RevokeClient(request, metadata=operator.metadata)
    second = await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    await world.auth.Refresh(RefreshRequest(refresh_token=second.refresh_token))
    reused = RefreshRequest(refresh_token=person.tokens.refresh_token)
    await assert_refused(world.auth.Refresh(reused), "REFRESH_TOKEN_INVALID")
    await world.auth.SignOut(SignOutRequest(), metadata=operator.metadata)
    ada, boss, prt, cli = person.user_id, operator.user_id, partner.partner_id, client.client_id
    assert await trail(world) == [
        ("sign_up.requested", "anonymous", person.sign_up_id, []),
        ("user.verified", ada, ada, ["state"]),
        ("session.opened", ada, ada, []),
        ("user.created", "command:bootstrap", boss, []),
        ("session.opened", boss, boss, []),
        ("partner.created", boss, prt, []),
        ("client.created", boss, cli, []),
        ("user.created", cli, customer.user_id, []),
        ("partner.updated", boss, prt, ["display_name"]),
        ("partner.suspended", boss, prt, ["state"]),
        ("client.revoked", boss, cli, []),
        ("session.reused", "anonymous", ada, []),
        ("session.ended", boss, boss, []),
    ]
    (made,) = await world.rows(
        "SELECT on_behalf_of, client_id, mode FROM audit_events WHERE subject = %(id)s", id=customer.user_id
    )
    assert tuple(made) == (prt, cli, "LIVE")


async def test_an_event_names_request_and_address_and_the_address_is_encrypted(world: World) -> None:
    operator = await world.operator()
    metadata = [*operator.metadata, ("x-request-id", "request-7"), *world.at("203.0.113.9")]
    await world.users.CreateUser(CreateUserRequest(email=world.email("ada")), metadata=metadata)
    (event,) = await world.rows("SELECT * FROM audit_events WHERE request_id = 'request-7'")
    assert event.created_at == world.clock.now()
    assert event.session_id.startswith("ses_")
    assert b"203.0.113.9" not in event.address_sealed
    assert world.app.vault.open(event.address_sealed, ADDRESS) == b"203.0.113.9"


async def test_a_change_that_is_undone_leaves_no_event(world: World) -> None:
    operator = await world.operator()
    request = CreateUserRequest(email=world.email("ada"))
    await world.users.CreateUser(request, metadata=operator.metadata)
    before = await trail(world)
    await assert_refused(world.users.CreateUser(request, metadata=operator.metadata), "EMAIL_TAKEN")
    assert await trail(world) == before


@pytest.fixture
def serving(postgres_url: str, service_database) -> Iterator[str]:
    """The URL of a role that serves the database of the test."""
    url = database.of_service(postgres_url, service_database("user"), "user")
    role = f"serving_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'serving'")
    migrations.grant(url, role, metadata)
    yield psycopg.conninfo.make_conninfo(url, user=role, password="serving")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_who_serves_appends_and_can_neither_change_nor_delete(serving: str) -> None:
    with psycopg.connect(serving, autocommit=True) as connection:
        for number, days in enumerate((399, 401, 500)):
            connection.execute(INSERT, (f"aud_{number}", timedelta(days=days)))
        for statement in (
            "UPDATE audit_events SET actor = 'usr_2'",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
            "SELECT 1 FROM audit_events FOR UPDATE",
            "ALTER TABLE audit_events DISABLE TRIGGER ALL",
            "CREATE OR REPLACE FUNCTION expire_audit_events(batch int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "INSERT INTO audit_events SELECT * FROM audit_events ON CONFLICT (audit_event_id) DO UPDATE SET actor = 'x'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        # Retention is the one deletion, of what is older than 400 days.
        assert connection.execute("SELECT expire_audit_events(1), expire_audit_events(9)").fetchone() == (1, 1)
        kept = connection.execute("SELECT audit_event_id FROM audit_events WHERE actor = 'usr_1'").fetchall()
        assert kept == [("aud_0",)]


async def test_the_sweep_deletes_by_the_function(world: World) -> None:
    with psycopg.connect(world.app.database_url, autocommit=True) as connection:
        connection.execute(INSERT, ("aud_0", timedelta(days=401)))
    await next(job for _, job, name in world.app._jobs if name == "retention")()
    assert await trail(world) == []
