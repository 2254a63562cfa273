"""Sign-in: tokens for the right password, one answer for everything else, and patience with those who mistype."""

import asyncio
import secrets
import statistics
import time
from datetime import timedelta

import pytest
from weft.user.v1.auth_service_pb2 import RefreshRequest, SignInRequest, SignOutRequest
from weft.user.v1.user_service_pb2 import GetUserRequest

from services.user.passwords import passwords
from services.user.passwords.passwords import Passwords
from tests.harness import assert_refused, in_time, reason_of
from tests.servers import until
from tests.user.world import PASSWORD, World

WRONG = "not the password at all"


def elsewhere() -> str:
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::9"


async def test_the_right_password_opens_a_session(world: World) -> None:
    person = await world.person("ada")
    claims = await world.claims(person.tokens.access_token)
    session = (await world.rows("SELECT session_id FROM sessions"))[0].session_id
    now = int(world.clock.now().timestamp())
    assert len(claims.pop("jti")) >= 16
    assert claims == {
        "iss": world.app.settings.issuer,
        "aud": "weft",
        "sub": person.user_id,
        "scope": "inbox.read orders.read orders.write payments.read users.read users.write",
        "roles": ["customer"],
        "plan": "free",
        "mode": "LIVE",
        "sid": session,
        "auth_time": now,
        "amr": ["pwd"],
        "acr": "aal1",
        "gen": 0,
        "iat": now,
        "exp": now + 900,
    }
    assert person.tokens.access_token_expire_time.seconds == now + 900
    assert person.tokens.user_id == person.user_id
    me = await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)
    assert (me.user_id, me.email) == (person.user_id, person.email)


async def test_no_token_and_no_password_is_stored(world: World) -> None:
    person = await world.person("ada")
    tables = ("users", "sessions", "refresh_tokens", "signing_keys")
    everything = str([await world.rows(f"SELECT {table}::text FROM {table}") for table in tables])
    for secret in (person.tokens.refresh_token, person.tokens.access_token, PASSWORD):
        assert secret not in everything
        assert secret.encode().hex() not in everything


async def test_wrong_address_wrong_password_and_unverified_address_get_the_same_response(world: World) -> None:
    person, waiting = await world.person("ada"), await world.sign_up("bob")
    answers = [
        await assert_refused(world.sign_in(world.email("nobody"), PASSWORD), "CREDENTIALS_INVALID"),
        await assert_refused(world.sign_in(person.email, WRONG), "CREDENTIALS_INVALID"),
        await assert_refused(world.sign_in(waiting.email, waiting.password), "CREDENTIALS_INVALID"),
    ]
    assert answers[0] == answers[1] == answers[2]


async def test_a_password_is_the_same_however_its_letters_were_composed(world: World) -> None:
    person = await world.registered("ada", "ein café in Graz")
    await world.sign_in(person.email, "ein café in Graz")


async def test_failed_attempts_back_off_and_a_retry_after_the_delay_works(world: World) -> None:
    person = await world.person("ada")
    for _ in range(5):
        await assert_refused(world.sign_in(person.email, WRONG), "CREDENTIALS_INVALID")

    waits = []
    for _ in range(8):
        refusal = await assert_refused(world.sign_in(person.email, WRONG), "TOO_MANY_ATTEMPTS")
        assert refusal.retry_after is not None
        waits.append(refusal.retry_after)
        world.clock.advance(timedelta(seconds=refusal.retry_after))
        await assert_refused(world.sign_in(person.email, WRONG), "CREDENTIALS_INVALID")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]

    world.clock.advance(timedelta(seconds=60))
    await world.sign_in(person.email, person.password)
    # And counting starts again.
    await assert_refused(world.sign_in(person.email, WRONG), "CREDENTIALS_INVALID")
    await world.sign_in(person.email, person.password)


async def test_an_account_that_does_not_exist_backs_off_the_same_way(world: World) -> None:
    email = world.email("nobody")
    reasons = [await reason_of(world.sign_in(email, WRONG)) for _ in range(7)]
    assert reasons == ["CREDENTIALS_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"] * 2


async def test_fifty_concurrent_attempts_count_as_five(world: World) -> None:
    person = await world.person("ada")
    reasons = await asyncio.gather(*(reason_of(world.sign_in(person.email, WRONG)) for _ in range(50)))
    assert reasons.count("CREDENTIALS_INVALID") == 5
    assert reasons.count("TOO_MANY_ATTEMPTS") == 45


async def test_of_many_concurrent_retries_one_is_admitted(world: World) -> None:
    person = await world.person("ada")
    for _ in range(5):
        await assert_refused(world.sign_in(person.email, WRONG), "CREDENTIALS_INVALID")
    world.clock.advance(timedelta(seconds=1))
    reasons = await asyncio.gather(*(reason_of(world.sign_in(person.email, WRONG)) for _ in range(10)))
    assert reasons.count("CREDENTIALS_INVALID") == 1


async def test_thirty_concurrent_sign_ins_with_the_right_password_succeed(world: World) -> None:
    person = await world.person("ada")
    pairs = await in_time(world.sign_in(person.email, person.password) for _ in range(30))
    assert len({pair.refresh_token for pair in pairs}) == len(pairs) > 0


async def test_a_stranger_who_guesses_does_not_lock_the_owner_out(world: World) -> None:
    person = await world.person("ada")
    stranger = elsewhere()
    while await reason_of(world.sign_in(person.email, WRONG, stranger)) != "TOO_MANY_ATTEMPTS":
        pass
    await world.sign_in(person.email, person.password)
    await world.sign_in(person.email, person.password, elsewhere())


async def test_an_account_under_attack_from_everywhere_still_opens_to_its_owner(world: World) -> None:
    person = await world.person("ada")
    for _ in range(10):
        address = elsewhere()
        for _ in range(5):
            await reason_of(world.sign_in(person.email, WRONG, address))

    # Each network has fewer free attempts now, and the owner still has some from any network.
    address = elsewhere()
    reasons = [await reason_of(world.sign_in(person.email, WRONG, address)) for _ in range(4)]
    assert reasons == ["CREDENTIALS_INVALID"] * 2 + ["TOO_MANY_ATTEMPTS"] * 2
    await world.sign_in(person.email, person.password, elsewhere())


async def test_an_address_that_fails_over_many_accounts_waits_but_those_it_knows_do_not(world: World) -> None:
    person = await world.person("ada")
    for number in range(100):
        await assert_refused(world.sign_in(world.email(f"guess{number}"), WRONG), "CREDENTIALS_INVALID")
    found = await assert_refused(world.sign_in(world.email("more"), WRONG), "TOO_MANY_ATTEMPTS")
    assert found.retry_after == 1
    await world.sign_in(person.email, person.password)


async def test_a_cache_that_is_down_lets_people_in(start) -> None:
    async with start(redis_url="redis://127.0.0.1:1/0") as world:
        person = await world.person("ada")
        for _ in range(5):
            await assert_refused(world.sign_in(person.email, WRONG), "CREDENTIALS_INVALID")
        # Counted all the same, for whoever guesses and for nobody else.
        await assert_refused(world.sign_in(person.email, WRONG), "TOO_MANY_ATTEMPTS")
        await world.sign_in(person.email, person.password, elsewhere())
        world.clock.advance(timedelta(seconds=1))
        await world.sign_in(person.email, person.password)
        await assert_refused(world.sign_in(person.email, WRONG), "CREDENTIALS_INVALID")


async def test_a_hash_of_older_parameters_is_renewed_at_sign_in(world: World) -> None:
    person = await world.person("ada")
    weaker = Passwords(memory_kib=8, passes=1)
    old = await weaker.hash(person.password)
    await world.rows("UPDATE users SET password_hash = %(old)s RETURNING 1", old=old)

    await world.sign_in(person.email, person.password)
    (row,) = await world.rows("SELECT password_hash FROM users")
    assert row.password_hash.startswith(f"$argon2id$v=19$m={passwords.MEMORY_KIB},t={passwords.PASSES},p=1$")
    await world.sign_in(person.email, person.password)


async def test_a_person_has_fifty_sessions_and_one_more_ends_the_oldest(world: World) -> None:
    person = await world.person("ada")
    for _ in range(10):
        world.clock.advance(timedelta(seconds=1))
        await asyncio.gather(*(world.sign_in(person.email, person.password) for _ in range(5)))
    (row,) = await world.rows("SELECT count(*) FILTER (WHERE ended_at IS NULL) AS open, count(*) AS all FROM sessions")
    assert tuple(row) == (50, 51)
    await assert_refused(
        world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token)), "REFRESH_TOKEN_INVALID"
    )


async def test_signing_out_ends_the_session_and_its_token(world: World) -> None:
    person = await world.person("ada")
    call = world.auth.SignOut(SignOutRequest(), metadata=person.metadata)
    await call
    assert ("x-http-status", "204") in tuple(await call.initial_metadata())

    async def is_revoked() -> bool:
        call = world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)
        return await reason_of(call) == "TOKEN_REVOKED"

    await until(is_revoked, "the token to be refused", 5)
    world.clock.advance(timedelta(minutes=1))
    again = world.auth.SignOut(SignOutRequest(), metadata=person.metadata)  # the first reply may have been lost
    await again
    assert "Max-Age=0" in str(dict(await again.initial_metadata())["set-cookie"])
    (row,) = await world.rows("SELECT ended_at FROM sessions")
    assert row.ended_at == world.clock.now() - timedelta(minutes=1)
    assert (await world.rows("SELECT count(*) AS n FROM audit_events WHERE action = 'session.ended'"))[0].n == 1


async def test_signing_out_needs_a_token(world: World) -> None:
    await assert_refused(world.auth.SignOut(SignOutRequest()), "TOKEN_MISSING")


async def test_no_header_and_a_strange_one_are_an_address_too(world: World) -> None:
    person = await world.person("ada")
    request = SignInRequest(email=person.email, password=person.password)
    await world.auth.SignIn(request)
    await world.auth.SignIn(request, metadata=[("x-envoy-external-address", "unknown")])


@pytest.mark.soak
async def test_the_time_does_not_tell_whether_an_account_exists(world: World) -> None:
    async def seconds(email: str) -> float:
        begun = time.perf_counter()
        await reason_of(world.sign_in(email, WRONG, elsewhere()))
        return time.perf_counter() - begun

    there, absent = [], []
    for number in range(40):
        there.append(await seconds((await world.person(f"there{number}")).email))
        absent.append(await seconds(world.email(f"absent{number}")))
    assert statistics.median(there) == pytest.approx(statistics.median(absent), rel=0.15)
