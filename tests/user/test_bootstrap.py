"""First data: operator and client of the environment exist, however often the bootstrap is repeated."""

import pytest
from weft.api.v1 import scope_pb2
from weft.user.v1 import user_pb2
from weft.user.v1.user_service_pb2 import GetUserRequest

from chassis.app import App
from chassis.settings import SettingsError
from services.user.bootstrap import PARTNER_SCOPES, bootstrap
from tests.harness import assert_refused
from tests.user.world import World

CLIENT = "cli_01k00000000000000000000000"
GIVEN = {
    "operator_password": "the operator's first word",
    "partner_client_id": CLIENT,
    "partner_client_secret": "the partner's first word",
}


async def given(world: World, **settings: str) -> None:
    """Run the command."""
    app: App = world.harness.app("user", world.clock, world.app.settings.database_prefix, **settings)
    await app.database.open()
    try:
        await bootstrap(app)
    finally:
        await app.clients.close()
        await app.cache.close()
        await app.database.close()


async def test_operator_and_client_sign_in(world: World) -> None:
    operator = {"operator_email": world.email("operator"), **GIVEN}
    await given(world, **operator)
    tokens = await world.sign_in(operator["operator_email"], operator["operator_password"])
    claims = await world.claims(tokens.access_token)
    assert (claims["roles"], claims["plan"]) == (["customer", "operator", "admin"], "premium")
    assert {"partners.admin", "users.admin", "products.write"} <= set(claims["scope"].split())

    answer = await world.token((CLIENT, operator["partner_client_secret"]), grant_type="client_credentials")
    assert answer.body["scope"] == " ".join(PARTNER_SCOPES)
    assert (await world.claims(answer.body["access_token"]))["plan"] == "premium"


async def test_running_it_again_changes_nothing(world: World) -> None:
    everything = "SELECT users::text, partners::text, clients::text, client_secrets::text, signing_keys::text"
    everything += " FROM users, partners, clients, client_secrets, signing_keys"
    operator = {"operator_email": world.email("operator"), **GIVEN}
    await given(world, **operator)
    before = await world.rows(everything)
    await given(world, **operator)
    assert len(before) == 1
    assert await world.rows(everything) == before


async def test_new_credentials_replace_the_old_ones(world: World) -> None:
    operator = {"operator_email": world.email("operator"), **GIVEN}
    await given(world, **operator)
    await given(
        world, **{**operator, "operator_password": "the second word of it", "partner_client_secret": "another secret"}
    )
    await world.sign_in(operator["operator_email"], "the second word of it")
    await assert_refused(
        world.sign_in(operator["operator_email"], operator["operator_password"]), "CREDENTIALS_INVALID"
    )
    statuses = [
        (await world.token((CLIENT, secret), grant_type="client_credentials")).status
        for secret in (operator["partner_client_secret"], "another secret")
    ]
    assert statuses == [401, 200]
    assert len(await world.rows("SELECT 1 FROM users")) == 1


async def test_someone_with_an_account_is_made_the_operator(world: World) -> None:
    person = await world.registered("ada")
    await given(world, operator_email=person.email, operator_password=person.password)
    person.tokens = await world.sign_in(person.email, person.password)
    me = await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)
    assert (me.user_id, me.state) == (person.user_id, user_pb2.USER_STATE_ACTIVE)
    assert scope_pb2.ROLE_OPERATOR in me.roles


async def test_without_credentials_only_a_key_is_made(world: World) -> None:
    await given(world)
    counts = "SELECT (SELECT count(*) FROM users) AS u, (SELECT count(*) FROM clients) AS c, (SELECT count(*) FROM signing_keys) AS k"
    assert [tuple(row) for row in await world.rows(counts)] == [(0, 0, 1)]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"operator_email": "o@example.com", "operator_password": "short"}, "WEFT_OPERATOR_PASSWORD"),
        ({"operator_email": "o..p@example.com", **GIVEN}, "WEFT_OPERATOR_EMAIL"),
        ({"partner_client_id": CLIENT}, "WEFT_PARTNER_CLIENT_SECRET"),
    ],
)
async def test_what_cannot_be_is_said_by_its_setting(world: World, settings: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        await given(world, **settings)
