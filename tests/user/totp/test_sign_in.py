"""Sign-in with a second factor: asked for after the right password only; each code once, on all replicas."""

import asyncio
import secrets
from datetime import timedelta

import pytest
from weft.user.v1.auth_service_pb2 import SignInRequest, TokenPair

from services.user.totp.domain import MAX_DAILY_FAILURES, NOTICED_FAILURES
from tests.harness import assert_refusal, assert_refused
from tests.user.totp.authenticator import STEP, Protected, protected
from tests.user.world import World


def elsewhere() -> str:
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::9"


def wrong(person: Protected) -> str:
    """Six digits that no clock of the test shows."""
    shown = {person.code(skew) for skew in range(-2, 3)}
    return next(code for code in (f"{number:06}" for number in range(9)) if code not in shown)


async def test_a_code_is_asked_for_after_the_right_password_only(world: World) -> None:
    ada = await protected(world, "ada")
    await assert_refused(ada.sign_in(), "SECOND_FACTOR_REQUIRED", factors="totp_code, recovery_code")
    request = SignInRequest(email=ada.person.email, password="not the password", totp_code=ada.code())
    await assert_refused(world.auth.SignIn(request, metadata=world.at()), "CREDENTIALS_INVALID")
    await assert_refused(ada.sign_in(totp_code=wrong(ada)), "SECOND_FACTOR_INVALID")

    # A wrong password has not used the code up.
    claims = await world.claims((await ada.sign_in(totp_code=ada.code())).access_token)
    assert (claims["amr"], claims["acr"]) == (["pwd", "otp", "mfa"], "aal2")
    assert claims["auth_time"] == int(world.clock.now().timestamp())


async def test_codes_mean_nothing_where_none_are_asked_for(world: World) -> None:
    person = await world.registered("ada")
    request = SignInRequest(email=person.email, password=person.password, totp_code="123456")
    claims = await world.claims((await world.auth.SignIn(request, metadata=world.at())).access_token)
    assert (claims["amr"], claims["acr"]) == (["pwd"], "aal1")


@pytest.mark.parametrize(("skew", "works"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_clocks_may_differ_by_one_step(world: World, skew: int, works: bool) -> None:
    ada = await protected(world, "ada")
    world.clock.advance(2 * STEP)
    if works:
        await ada.sign_in(totp_code=ada.code(skew))
        await assert_refused(ada.sign_in(totp_code=ada.code(skew)), "SECOND_FACTOR_INVALID")
    else:
        await assert_refused(ada.sign_in(totp_code=ada.code(skew)), "SECOND_FACTOR_INVALID")


async def test_a_code_is_used_up_with_those_before_it(world: World) -> None:
    ada = await protected(world, "ada")
    await ada.sign_in(totp_code=ada.code(1))
    await assert_refused(ada.sign_in(totp_code=ada.code()), "SECOND_FACTOR_INVALID")
    world.clock.advance(2 * STEP)
    await ada.sign_in(totp_code=ada.code())


@pytest.mark.parametrize("kind", ["totp_code", "recovery_code"])
async def test_of_many_at_once_on_two_replicas_one_uses_the_code(start, world: World, kind: str) -> None:
    ada = await protected(world, "ada")
    code = ada.code() if kind == "totp_code" else ada.recovery_codes[0]
    async with start(prefix=world.app.settings.database_prefix) as other:
        twin = Protected(other, ada.person, ada.app, [])
        # From different networks, so that no count of attempts orders them.
        outcomes = await asyncio.gather(
            *(who.sign_in(elsewhere(), **{kind: code}) for who in [ada, twin] * 6), return_exceptions=True
        )
    assert sum(isinstance(outcome, TokenPair) for outcome in outcomes) == 1
    for outcome in outcomes:
        assert isinstance(outcome, TokenPair) or assert_refusal(outcome, "SECOND_FACTOR_INVALID")
    assert len(await world.rows("SELECT 1 FROM sessions")) == 2


async def test_a_recovery_code_works_once_however_it_is_typed_and_its_owner_is_told(world: World) -> None:
    ada = await protected(world, "ada")
    code, other = ada.recovery_codes[:2]
    await ada.sign_in(recovery_code=code.upper().replace("-", " ").replace("1", "L").replace("0", "O"))
    await assert_refused(ada.sign_in(recovery_code=code), "SECOND_FACTOR_INVALID")
    await ada.sign_in(recovery_code=other.replace("-", ""))
    told = [event for event in await world.events() if event.type == "user.recovery_code_used"]
    assert [(event.user_id, event.actor) for event in told] == [(ada.person.user_id, ada.person.user_id)] * 2
    rows = await world.rows("SELECT action, actor FROM audit_events WHERE action = 'recovery_code.used'")
    assert rows == [("recovery_code.used", ada.person.user_id)] * 2


async def test_bad_codes_are_named_and_of_two_the_recovery_code_is_kept(world: World) -> None:
    ada = await protected(world, "ada")
    code = ada.recovery_codes[0]
    await assert_refused(ada.sign_in(totp_code=wrong(ada), recovery_code=code), "SECOND_FACTOR_INVALID")
    await ada.sign_in(recovery_code=code)
    for field, value in [("totp_code", "12345"), ("totp_code", "12345a"), ("recovery_code", "short")]:
        await assert_refused(ada.sign_in(**{field: value}), "REQUEST_INVALID", violations={field: ""})


@pytest.mark.parametrize("valkey", ["there", "gone"])
async def test_wrong_codes_back_off_over_two_replicas_also_without_valkey(start, valkey: str) -> None:
    more = {"redis_url": "redis://127.0.0.1:1/0"} if valkey == "gone" else {}
    async with start(**more) as world, start(prefix=world.app.settings.database_prefix, **more) as other:
        ada = await protected(world, "ada")
        twin, other.address = Protected(other, ada.person, ada.app, []), world.address
        for replica in (ada, twin, ada, twin, ada):
            await assert_refused(replica.sign_in(totp_code=wrong(ada)), "SECOND_FACTOR_INVALID")
        waits = []
        for replica in (twin, ada, twin):
            refusal = await assert_refused(replica.sign_in(totp_code=ada.code()), "TOO_MANY_ATTEMPTS")
            waits.append(refusal.retry_after)
            world.clock.advance(timedelta(seconds=refusal.retry_after or 0))
            await assert_refused(replica.sign_in(totp_code=wrong(ada)), "SECOND_FACTOR_INVALID")
        assert waits == [1, 2, 4]
        # Whoever has the password delays nobody else.
        await ada.sign_in(elsewhere(), totp_code=ada.code())
        world.clock.advance(timedelta(seconds=60))
        await twin.sign_in(totp_code=ada.code())
        world.clock.advance(STEP)
        # A success starts the count again.
        await assert_refused(twin.sign_in(totp_code=wrong(ada)), "SECOND_FACTOR_INVALID")
        await ada.sign_in(totp_code=ada.code())


async def test_guesses_from_everywhere_have_an_end_that_does_not_lock_the_owner_out(world: World) -> None:
    ada = await protected(world, "ada")
    await ada.sign_in(totp_code=ada.code())  # from home
    world.clock.advance(STEP)
    for _ in range(MAX_DAILY_FAILURES):
        await assert_refused(ada.sign_in(elsewhere(), totp_code=wrong(ada)), "SECOND_FACTOR_INVALID")
    refusal = await assert_refused(ada.sign_in(elsewhere(), totp_code=ada.code()), "TOO_MANY_ATTEMPTS")
    assert refusal.retry_after == 24 * 3600
    told = [event for event in await world.events() if event.type == "user.second_factor_guessed"]
    assert [event.user_id for event in told] == [ada.person.user_id]
    assert NOTICED_FAILURES < MAX_DAILY_FAILURES

    await ada.sign_in(elsewhere(), recovery_code=ada.recovery_codes[0])
    await ada.sign_in(totp_code=ada.code())
    await assert_refused(ada.sign_in(elsewhere(), totp_code=wrong(ada)), "SECOND_FACTOR_INVALID")
