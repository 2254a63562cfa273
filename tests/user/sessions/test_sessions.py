"""A person sees where they are signed in, and ends it there."""

import asyncio
from datetime import timedelta
from typing import Any

from weft.user.v1 import session_pb2
from weft.user.v1.auth_service_pb2 import RefreshRequest, SignInRequest, SignOutRequest, TokenPair
from weft.user.v1.session_pb2 import ListSessionsRequest, RevokeOtherSessionsRequest, RevokeSessionRequest

from chassis import ids
from tests.harness import assert_refused, reason_of
from tests.servers import until
from tests.user.world import Metadata, Person, World


def bearer(tokens: TokenPair) -> Metadata:
    return [("authorization", f"Bearer {tokens.access_token}")]


async def sign_in(world: World, person: Person, address: str) -> TokenPair:
    request = SignInRequest(email=person.email, password=person.password)
    return await world.auth.SignIn(request, metadata=world.at(address))


async def sessions(world: World, metadata: Metadata, user_id: str = "me", **more: Any) -> list[session_pb2.Session]:
    request = ListSessionsRequest(user_id=user_id, **more)
    return list((await world.users.ListSessions(request, metadata=metadata)).sessions)


async def test_a_person_sees_where_they_are_signed_in(world: World) -> None:
    person = await world.person("ada")
    world.clock.advance(timedelta(minutes=90))
    laptop = await sign_in(world, person, "203.0.113.77")
    fresh = await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    first, second = await sessions(world, bearer(fresh))
    assert (first.network, first.current, second.current) == ("203.0.113.0/24", False, True)
    assert second.network.endswith("::/48")
    assert first.user_id == second.user_id == person.user_id
    assert (first.device, second.device) == ("a program", "a program")  # these tests are no browser
    assert not first.HasField("last_use_time")
    assert second.last_use_time.seconds == int(world.clock.now().timestamp()) // 3600 * 3600
    assert [one.current for one in await sessions(world, bearer(laptop))] == [True, False]
    page = await world.users.ListSessions(ListSessionsRequest(user_id="me", page_size=1), metadata=bearer(laptop))
    rest = ListSessionsRequest(user_id="me", page_size=1, page_token=page.next_page_token)
    assert list((await world.users.ListSessions(rest, metadata=bearer(laptop))).sessions) == [
        *(await sessions(world, bearer(laptop)))[1:]
    ]
    (row,) = await world.rows(
        "SELECT count(*) AS n FROM sessions WHERE position('203.0.113' IN place_sealed::text) > 0"
    )
    assert row.n == 0


async def test_what_cannot_be_refreshed_any_more_is_not_listed(world: World) -> None:
    person = await world.person("ada")
    world.clock.advance(timedelta(days=15))
    await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    world.clock.advance(timedelta(days=29))
    other = await sign_in(world, person, "")
    assert len(await sessions(world, bearer(other))) == 2
    world.clock.advance(timedelta(days=2))
    assert len(await sessions(world, bearer(other))) == 1


async def test_one_session_is_ended_with_its_tokens_and_no_other(world: World) -> None:
    person = await world.person("ada")
    lost, kept = await sign_in(world, person, ""), await sign_in(world, person, "")
    (lost_id,) = [one.session_id for one in await sessions(world, bearer(lost)) if one.current]
    request = RevokeSessionRequest(user_id="me", session_id=lost_id)
    for _ in range(2):
        await world.users.RevokeSession(request, metadata=bearer(kept))

    async def is_revoked() -> bool:
        return (await refused_reason(world, lost)) == "TOKEN_REVOKED"

    await until(is_revoked, "the lost session's token to be refused", 5)
    await assert_refused(world.auth.Refresh(RefreshRequest(refresh_token=lost.refresh_token)), "REFRESH_TOKEN_INVALID")
    assert len(await sessions(world, bearer(kept))) == 2
    await assert_refused(
        world.users.RevokeSession(RevokeSessionRequest(user_id="me", session_id=ids.new("ses")), metadata=bearer(kept)),
        "SESSION_NOT_FOUND",
    )
    trail = await world.rows("SELECT session_id FROM audit_events WHERE action = 'session.revoked'")
    assert [row.session_id for row in trail] == [lost_id]


async def refused_reason(world: World, tokens: TokenPair) -> str:
    """Why the access token is refused; empty where it is not."""
    return await reason_of(sessions(world, bearer(tokens)))


async def test_all_others_are_ended_at_once(world: World) -> None:
    person, stranger = await world.person("ada"), await world.person("bob")
    others = [await sign_in(world, person, "") for _ in range(3)]
    request = RevokeOtherSessionsRequest(user_id=person.user_id)
    await world.users.RevokeOtherSessions(request, metadata=person.metadata)

    async def all_revoked() -> bool:
        return {await refused_reason(world, tokens) for tokens in others} == {"TOKEN_REVOKED"}

    await until(all_revoked, "the other sessions' tokens to be refused", 5)
    assert [one.current for one in await sessions(world, person.metadata)] == [True]
    assert len(await sessions(world, stranger.metadata)) == 1
    await world.users.RevokeOtherSessions(request, metadata=person.metadata)
    trail = await world.rows("SELECT subject FROM audit_events WHERE action = 'session.others_revoked'")
    assert [row.subject for row in trail] == [person.user_id]
    strange = world.users.RevokeOtherSessions(request, metadata=stranger.metadata)
    await assert_refused(strange, "USER_NOT_FOUND", user_id=person.user_id)


async def test_an_operator_sees_and_ends_anybodys(world: World) -> None:
    operator, person = await world.operator(), await world.person("ada")
    (only,) = await sessions(world, operator.metadata, person.user_id)
    assert not only.current
    own = RevokeSessionRequest(user_id=operator.user_id, session_id=only.session_id)
    await assert_refused(world.users.RevokeSession(own, metadata=operator.metadata), "SESSION_NOT_FOUND")
    request = RevokeSessionRequest(user_id=person.user_id, session_id=only.session_id)
    await world.users.RevokeSession(request, metadata=operator.metadata)
    assert await sessions(world, operator.metadata, person.user_id) == []


async def test_a_sign_out_and_an_end_from_elsewhere_at_once_are_one_end(world: World) -> None:
    person = await world.person("ada")
    other = await sign_in(world, person, "")
    (mine,) = [one.session_id for one in await sessions(world, person.metadata) if one.current]
    end = RevokeSessionRequest(user_id="me", session_id=mine)
    await asyncio.gather(
        world.auth.SignOut(SignOutRequest(), metadata=person.metadata),
        *(world.users.RevokeSession(end, metadata=bearer(other)) for _ in range(5)),
        return_exceptions=True,
    )
    (row,) = await world.rows(
        "SELECT count(*) AS n FROM audit_events WHERE action IN ('session.ended', 'session.revoked')"
    )
    assert row.n == 1
