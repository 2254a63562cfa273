"""Operators rotate signing keys: no token breaks, unless its key was compromised."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import jwt
import pytest
from aiohttp import web
from joserfc import jwt as signing
from joserfc.jwk import ECKey
from jwt import PyJWKClient
from weft.user.v1.auth_service_pb2 import RefreshRequest
from weft.user.v1.oauth_service_pb2 import GetJwksRequest
from weft.user.v1.user_changes_pb2 import UpdateUserRequest
from weft.user.v1.user_pb2 import User
from weft.user.v1.user_service_pb2 import GetUserRequest

from chassis.app import App
from chassis.errors import TokenRevoked
from chassis.security.identity import Identity
from chassis.security.revocations import Revocations
from chassis.security.tokens import TokenVerifier
from chassis.settings import SettingsError
from services.user.keys import commands, ring
from services.user.keys.domain import PUBLISH_LEAD, RETIRE_DELAY
from services.user.keys.tables import PRIVATE
from tests.harness import ISSUER, assert_refused, reason_of
from tests.user.world import Person, World


@pytest.fixture
async def jwks_url(world: World) -> AsyncIterator[str]:
    """Where the service's JWKS is, for a stock client over HTTP."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(json.loads((await world.oauth.GetJwks(GetJwksRequest())).data))

    app = web.Application()
    app.router.add_get("/jwks.json", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    await runner.cleanup()


async def keys(app: App, words: list[str]) -> list[str]:
    """What the command says."""
    return [line async for line in commands.keys(app, words)]


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def test_a_stock_client_verifies_every_token_across_a_rotation_while_requests_flow(
    world: World, jwks_url: str
) -> None:
    # It keeps what it has fetched, for half a second in place of five minutes: the hour before a key signs is shortened as
    # much. A key that it does not know then makes it fetch no sooner: its cool-down is half a minute.
    partner = PyJWKClient(jwks_url, lifespan=0.5)

    def verified(token: str) -> dict[str, Any]:
        # The service's clock is set forward by this test.
        key = partner.get_signing_key_from_jwt(token)
        return jwt.decode(
            token, key.key, ["ES256"], audience="weft", issuer=ISSUER, leeway=4 * 3600, options={"require": ["exp"]}
        )

    person = await world.person("ada")
    issued, calls, stop = [person.tokens.access_token], [0], asyncio.Event()

    async def flow() -> None:
        # In one session: a user may open so many, and on a fast machine the first would end.
        pair = await world.sign_in(person.email, person.password)
        while not stop.is_set():
            pair = await world.auth.Refresh(RefreshRequest(refresh_token=pair.refresh_token))
            token = pair.access_token
            issued.append(token)
            assert (await asyncio.to_thread(verified, token))["sub"] == person.user_id
            for each in (token, issued[0]):
                await world.users.GetUser(GetUserRequest(user_id="me"), metadata=[("authorization", f"Bearer {each}")])
                assert (await asyncio.to_thread(verified, each))["sub"] == person.user_id
            calls[0] += 1

    async def some() -> None:
        """Until the flows have gone round a few times more."""
        wanted = calls[0] + 3
        while calls[0] < wanted:
            await asyncio.wait(flows, timeout=0.05)
            for each in flows:
                if each.done():
                    each.result()

    flows = [asyncio.create_task(flow()) for _ in range(2)]
    await some()
    (before,) = {kid_of(token) for token in issued}
    said = await keys(world.app, ["rotate"])
    assert said[0].split()[0] == before
    assert "signs from" in said[1]
    await some()
    assert {kid_of(token) for token in issued} == {before}
    async with asyncio.timeout(20):
        while len((await asyncio.to_thread(partner.get_jwk_set)).keys) < 2:
            await some()
    world.clock.advance(PUBLISH_LEAD)
    await some()
    after = said[1].split()[0]
    assert kid_of(issued[-1]) == after
    stop.set()
    await asyncio.gather(*flows)

    # After the overlap the old key, with which no valid token is signed any more, is gone.
    world.clock.advance(RETIRE_DELAY)

    await ring.of_app(world.app).rotate()
    assert [line.split()[0] for line in await keys(world.app, [])] == [after]
    assert len(issued) > 9


async def test_who_asks_twice_gets_one_next_key(world: World) -> None:
    await world.person("ada")
    first = await keys(world.app, ["rotate"])
    assert len(first) == 2
    assert await keys(world.app, ["rotate"]) == ["The next key is published already; none was made.", *first]
    actions = await world.rows("SELECT actor, action, subject FROM audit_events WHERE action LIKE 'signing_key.%%'")
    assert [tuple(row) for row in actions] == [("command:keys", "signing_key.made", first[1].split()[0])]


async def forged(world: World, person: Person, signer: str, **header: str) -> list[tuple[str, str]]:
    """A token that a thief of the key makes, valid for ten years."""
    rows = await world.rows("SELECT private_sealed FROM signing_keys WHERE kid = %(kid)s", kid=signer)
    private = ECKey.import_key(json.loads(world.app.vault.open(rows[0].private_sealed, PRIVATE)))
    claims = {"iss": ISSUER, "aud": "weft", "sub": person.user_id, "exp": 2_000_000_000, "roles": ["customer"],
              "scope": "users.read users.write", "sid": "ses_none", "jti": "none"}  # fmt: skip
    token = signing.encode({"alg": "ES256", "typ": "at+jwt", **header}, claims, private)
    return [("authorization", f"Bearer {token}")]


async def succeeds(call: Awaitable[Any]) -> bool:
    """Whether it is not refused for its token."""
    return await reason_of(call) not in ("TOKEN_INVALID", "TOKEN_REVOKED")


async def told(revocations: Revocations, caller: Identity) -> None:
    """Raise `TokenRevoked`, as soon as the feed says so."""
    async with asyncio.timeout(5), revocations.until_revoked(caller):
        revocations.check(caller, writes=False)
        await asyncio.Event().wait()


async def test_a_compromised_key_is_invalid_at_once_and_people_go_on_with_their_refresh_tokens(world: World) -> None:
    person = await world.person("ada")
    kid = kid_of(person.tokens.access_token)
    stolen, nameless = await forged(world, person, kid, kid=kid), await forged(world, person, kid)
    kept = (await world.oauth.GetJwks(GetJwksRequest())).data.decode()

    async def keep() -> str:
        return kept

    elsewhere = TokenVerifier(ISSUER, keep)
    ask = GetUserRequest(user_id="me")
    assert (await world.users.GetUser(ask, metadata=stolen)).user_id == person.user_id
    # With one key published it would be found without a name, and could not be revoked by it.
    await assert_refused(world.users.GetUser(ask, metadata=nameless), "TOKEN_INVALID")

    ended, left = await keys(world.app, ["revoke", kid])

    assert kid in ended
    assert kid not in left

    for metadata in (stolen, person.metadata):
        async with asyncio.timeout(5):
            while await succeeds(world.users.GetUser(ask, metadata=metadata)):
                pass
    change = UpdateUserRequest(user=User(user_id="me", display_name="Mallory"))
    change.update_mask.paths.append("display_name")
    assert not await succeeds(world.users.UpdateUser(change, metadata=stolen))
    # Another service that still has the old keys is told by the feed of revocations.
    caller = await elsewhere.identify(dict(stolen)["authorization"])
    with pytest.raises(TokenRevoked):
        await told(world.app.revocations, caller)
    published = json.loads((await world.oauth.GetJwks(GetJwksRequest())).data)["keys"]
    assert [key["kid"] for key in published] == [left.split()[0]]
    renewed = await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    assert kid_of(renewed.access_token) == left.split()[0]
    metadata = [("authorization", f"Bearer {renewed.access_token}")]
    assert (await world.users.GetUser(ask, metadata=metadata)).user_id == person.user_id


async def test_of_two_keys_the_one_that_was_not_revoked_signs(world: World) -> None:
    person = await world.person("ada")
    old, new = (line.split()[0] for line in await keys(world.app, ["rotate"]))
    await keys(world.app, ["revoke", old])

    async with asyncio.timeout(5):
        while kid_of((await world.sign_in(person.email, person.password)).access_token) != new:
            pass
    with pytest.raises(SettingsError, match="no signing key"):
        await keys(world.app, ["revoke", old])
    with pytest.raises(SettingsError, match="keys revoke KID"):
        await keys(world.app, ["revoke"])
