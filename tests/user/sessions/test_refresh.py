"""Refresh tokens: each is good once, and one that comes twice ends its session."""

import asyncio
from datetime import timedelta

from weft.user.v1.auth_service_pb2 import RefreshRequest, SignOutRequest, TokenPair

from tests.harness import assert_refused, refused
from tests.user.world import World

KEPT = ("sub", "sid", "scope", "roles", "auth_time", "amr", "acr")


async def refresh(world: World, token: str) -> TokenPair:
    return await world.auth.Refresh(RefreshRequest(refresh_token=token))


async def refresh_refused(world: World, token: str) -> None:
    await assert_refused(refresh(world, token), "REFRESH_TOKEN_INVALID")


async def test_a_refresh_token_becomes_new_tokens_of_the_same_session(world: World) -> None:
    person = await world.person("ada")
    world.clock.advance(timedelta(minutes=14))
    fresh = await refresh(world, person.tokens.refresh_token)

    assert fresh.refresh_token != person.tokens.refresh_token
    before, after = await world.claims(person.tokens.access_token), await world.claims(fresh.access_token)
    assert after["jti"] != before["jti"]
    assert after["exp"] == before["exp"] + 14 * 60
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    assert (await refresh(world, fresh.refresh_token)).user_id == person.user_id


async def test_a_token_that_comes_twice_ends_the_session_of_both_bearers(world: World) -> None:
    person = await world.person("ada")
    thief = await refresh(world, person.tokens.refresh_token)
    await refresh_refused(world, person.tokens.refresh_token)
    await refresh_refused(world, thief.refresh_token)
    (row,) = await world.rows("SELECT ended_at FROM sessions")
    assert row.ended_at == world.clock.now()


async def test_other_sessions_go_on(world: World) -> None:
    person = await world.person("ada")
    other = await world.sign_in(person.email, person.password)
    await refresh(world, person.tokens.refresh_token)
    await refresh_refused(world, person.tokens.refresh_token)
    await refresh(world, other.refresh_token)


async def test_of_ten_concurrent_refreshes_one_succeeds_and_the_session_ends(world: World) -> None:
    person = await world.person("ada")
    answers = await asyncio.gather(
        *(refresh(world, person.tokens.refresh_token) for _ in range(10)), return_exceptions=True
    )
    (won,) = [answer for answer in answers if isinstance(answer, TokenPair)]
    await refresh_refused(world, won.refresh_token)


async def test_a_session_that_was_ended_is_not_refreshed(world: World) -> None:
    person = await world.person("ada")
    await world.auth.SignOut(SignOutRequest(), metadata=person.metadata)
    await refresh_refused(world, person.tokens.refresh_token)


async def test_a_token_ends_after_thirty_days_of_rest(world: World) -> None:
    person = await world.person("ada")
    world.clock.advance(timedelta(days=30) - timedelta(seconds=1))
    fresh = await refresh(world, person.tokens.refresh_token)
    world.clock.advance(timedelta(days=30))
    await refresh_refused(world, fresh.refresh_token)


async def test_a_session_ends_after_ninety_days_however_often_it_is_refreshed(world: World) -> None:
    person = await world.person("ada")
    token = person.tokens.refresh_token
    for _ in range(4):
        world.clock.advance(timedelta(days=22))
        token = (await refresh(world, token)).refresh_token
    world.clock.advance(timedelta(days=2))
    await refresh_refused(world, token)


async def test_a_closed_account_is_not_refreshed(world: World) -> None:
    person = await world.person("ada")
    await world.rows("UPDATE users SET state = 'INACTIVE' RETURNING 1")
    await refresh_refused(world, person.tokens.refresh_token)


async def test_an_unknown_token_is_refused(world: World) -> None:
    await refresh_refused(world, "wrt_unknown")


async def test_a_session_remembers_its_last_used_tokens_and_no_more(world: World) -> None:
    person = await world.person("ada")
    await world.rows(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at, used_at) "
        "SELECT int4send(n), session_id, created_at - n * interval '1 minute', expires_at, created_at "
        "FROM sessions, generate_series(1, 400) AS n RETURNING 1"
    )
    fresh = await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    assert [row.n for row in await world.rows("SELECT count(*) AS n FROM refresh_tokens")] == [300]
    await world.auth.Refresh(RefreshRequest(refresh_token=fresh.refresh_token))
    # The one before the last is still known as used: it ends the session.
    await refused(world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token)))
    assert [row.ended_at for row in await world.rows("SELECT ended_at FROM sessions")] == [world.clock.now()]
