"""Refresh tokens: each has one successor, and one that comes after its successor was used ends its session."""

import asyncio
from datetime import timedelta

from weft.user.v1.auth_service_pb2 import RefreshRequest, SignOutRequest, TokenPair

from tests.harness import assert_refused
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


async def test_a_lost_reply_is_asked_for_again(world: World) -> None:
    person = await world.person("ada")
    token = person.tokens.refresh_token
    for _ in range(50):
        lost, again = await refresh(world, token), await refresh(world, token)
        assert again.refresh_token == lost.refresh_token != token
        assert (await world.claims(again.access_token))["sid"] == (await world.claims(lost.access_token))["sid"]
        token = again.refresh_token
    assert [tuple(row) for row in await world.rows("SELECT ended_at FROM sessions")] == [(None,)]


async def test_two_tabs_that_refresh_at_once_stay_signed_in(world: World) -> None:
    person = await world.person("ada")
    token, seen = person.tokens.refresh_token, set()
    for _ in range(50):
        tabs = await asyncio.gather(refresh(world, token), refresh(world, token))
        (token,) = {tab.refresh_token for tab in tabs}
        seen.add(token)
    assert len(seen) == 50
    (row,) = await world.rows("SELECT count(*) AS n, count(used_at) AS used FROM refresh_tokens")
    assert tuple(row) == (51, 50)


async def test_an_older_token_ends_the_session_of_all_its_bearers(world: World) -> None:
    person = await world.person("ada")
    stolen = person.tokens.refresh_token
    second = (await refresh(world, stolen)).refresh_token
    third = (await refresh(world, second)).refresh_token
    await refresh_refused(world, stolen)  # its successor was used: whoever has this one has not had the second from us
    for token in (third, second, stolen):
        await refresh_refused(world, token)
    (row,) = await world.rows("SELECT ended_at FROM sessions")
    assert row.ended_at == world.clock.now()
    actions = [row.action for row in await world.rows("SELECT action FROM audit_events WHERE action LIKE 'session.%'")]
    assert actions.count("session.reused") == 1


async def test_of_many_at_once_with_an_older_token_among_them_the_session_ends(world: World) -> None:
    person = await world.person("ada")
    stolen = person.tokens.refresh_token
    current = (await refresh(world, stolen)).refresh_token
    calls = [refresh(world, current) for _ in range(10)]
    answers = await asyncio.gather(*calls, refresh(world, stolen), return_exceptions=True)
    # The older one is answered until its successor is used, whichever came first; the ten have one successor.
    assert len({answer.refresh_token for answer in answers[:10] if isinstance(answer, TokenPair)}) <= 1
    await refresh_refused(world, stolen)
    await refresh_refused(world, current)


async def test_a_token_that_was_replaced_by_the_release_before_ends_its_session(world: World) -> None:
    person = await world.person("ada")
    fresh = await refresh(world, person.tokens.refresh_token)
    # A successor that does not follow from the token: it cannot be told again.
    await world.rows("UPDATE refresh_tokens SET token_hash = sha256('random') WHERE used_at IS NULL RETURNING 1")
    await refresh_refused(world, person.tokens.refresh_token)
    await refresh_refused(world, fresh.refresh_token)
    assert [row.ended_at for row in await world.rows("SELECT ended_at FROM sessions")] == [world.clock.now()]


async def test_other_sessions_go_on(world: World) -> None:
    person = await world.person("ada")
    other = await world.sign_in(person.email, person.password)
    fresh = await refresh(world, person.tokens.refresh_token)
    await refresh(world, fresh.refresh_token)
    await refresh_refused(world, person.tokens.refresh_token)
    await refresh(world, other.refresh_token)


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
    await refresh_refused(world, person.tokens.refresh_token)
    assert [row.ended_at for row in await world.rows("SELECT ended_at FROM sessions")] == [world.clock.now()]
