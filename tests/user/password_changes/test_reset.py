"""A forgotten password: one answer for every address, and a code that works once, for an hour, for who receives it."""

import asyncio
from datetime import timedelta

import pytest
from weft.user.v1 import one_time_code_pb2 as codes
from weft.user.v1.auth_service_pb2 import RefreshRequest
from weft.user.v1.events_pb2 import PasswordChanged
from weft.user.v1.password_pb2 import RequestPasswordResetRequest, ResetPasswordRequest
from weft.user.v1.user_service_pb2 import CreateUserRequest

from tests.harness import assert_refused
from tests.user.accounts.calls import elsewhere, touches
from tests.user.password_changes.calls import NEW, issue, request, requested, reset
from tests.user.world import World


async def test_a_reset_sets_the_password_and_ends_every_session(world: World) -> None:
    person, bob = await world.person("ada"), await world.person("bob")
    await reset(world, person.email.upper(), (await requested(world, person.email)).lower().replace("-", ""))

    await assert_refused(
        world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token)), "REFRESH_TOKEN_INVALID"
    )
    await assert_refused(world.sign_in(person.email, person.password), "CREDENTIALS_INVALID")
    await world.sign_in(person.email, NEW)
    await world.auth.Refresh(RefreshRequest(refresh_token=bob.tokens.refresh_token))
    event = next(event for event in await world.events() if event.type == "user.password_changed")
    fact = PasswordChanged()
    assert event.payload.Unpack(fact)
    assert fact == PasswordChanged(user_id=person.user_id, by_reset=True)
    assert (event.user_id, event.actor) == (person.user_id, person.user_id)
    rows = await world.rows("SELECT actor, subject, fields FROM audit_events WHERE action = 'password.reset'")
    assert [tuple(row) for row in rows] == [(person.user_id, person.user_id, ["password"])]


async def test_the_answer_is_the_same_for_every_address_and_no_account_is_read(start) -> None:
    async with start(pool_size=1) as world:
        owner = await world.person("ada")

        async def touched(email: str) -> dict[str, int]:
            before = await touches(world)
            await world.auth.RequestPasswordReset(
                RequestPasswordResetRequest(email=email), metadata=world.at(elsewhere())
            )
            return {table: n - before[table] for table, n in (await touches(world)).items() if n != before[table]}

        known, unknown = await touched(owner.email), await touched(world.email("bob"))
        assert known == unknown
        assert set(known) == {"audit_events", "code_requests", "outbox"}


async def test_the_mail_tells_the_difference(world: World) -> None:
    operator, person, pending = await world.operator(), await world.person("ada"), await world.sign_up("bob")
    partner = await world.partner(operator)
    shop = await world.client_metadata(await world.client(operator, partner))
    customer, invited, closed = world.email("customer"), world.email("invited"), await world.registered("closed")
    await world.users.CreateUser(CreateUserRequest(email=customer), metadata=shop)
    await world.users.CreateUser(CreateUserRequest(email=invited, locale="de"), metadata=operator.metadata)
    await world.rows("UPDATE users SET state = 'INACTIVE' WHERE user_id = %(id)s RETURNING 1", id=closed.user_id)

    no_account = codes.CODE_MESSAGE_NO_ACCOUNT
    for email, message in (
        (person.email, codes.CODE_MESSAGE_CODE),
        (pending.email, no_account),
        (customer, no_account),
        (invited, no_account),
        (world.email("nobody"), no_account),
        (closed.email, codes.CODE_MESSAGE_ACCOUNT_CLOSED),
    ):
        issued = await issue(world, await request(world, email, elsewhere()))
        assert (issued.message, issued.email, bool(issued.code)) == (message, email, message == codes.CODE_MESSAGE_CODE)


async def test_a_code_works_once_also_in_ten_concurrent_calls(world: World) -> None:
    person = await world.person("ada")
    code = await requested(world, person.email)
    calls = [reset(world, person.email, code, address=elsewhere()) for _ in range(10)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    assert [kind for kind, _, _ in await world.emitted()].count("user.password_changed") == 1


async def test_a_code_ends_after_an_hour_with_a_newer_one_and_with_any_reset(world: World) -> None:
    person = await world.person("ada")
    first = await requested(world, person.email)
    second = await requested(world, person.email)
    await assert_refused(reset(world, person.email, first), "CODE_INVALID")
    world.clock.advance(timedelta(hours=1))
    await assert_refused(reset(world, person.email, second), "CODE_INVALID")

    mine = await requested(world, person.email)
    theirs = await requested(world, person.email, elsewhere())  # does not replace the owner's
    pending = await request(world, person.email, elsewhere())
    await reset(world, person.email, mine)
    await assert_refused(reset(world, person.email, theirs), "CODE_INVALID")
    await assert_refused(issue(world, pending), "CODE_REQUEST_NOT_FOUND")


async def test_wrong_codes_wrong_addresses_and_closed_accounts_get_one_answer(world: World) -> None:
    person, bob = await world.person("ada"), await world.person("bob")
    code = await requested(world, person.email)
    answers = [
        await assert_refused(reset(world, person.email, "AAAA-BBBB-CCCC"), "CODE_INVALID"),
        await assert_refused(reset(world, bob.email, code), "CODE_INVALID"),
        await assert_refused(reset(world, world.email("nobody"), code), "CODE_INVALID"),
    ]
    await world.rows("UPDATE users SET state = 'INACTIVE' WHERE user_id = %(id)s RETURNING 1", id=person.user_id)
    answers.append(await assert_refused(reset(world, person.email, code), "CODE_INVALID"))
    assert answers == answers[:1] * 4


async def test_who_guesses_waits_and_does_not_spend_the_owners_code(world: World) -> None:
    person = await world.person("ada")
    code, stranger = await requested(world, person.email), elsewhere()
    for _ in range(5):
        await assert_refused(reset(world, person.email, "AAAA-BBBB-CCCC", address=stranger), "CODE_INVALID")
    await assert_refused(reset(world, person.email, "AAAA-BBBB-CCCC", address=stranger), "TOO_MANY_ATTEMPTS")
    await reset(world, person.email, code)


async def test_mails_are_limited(world: World) -> None:
    for _ in range(5):
        await request(world, world.email("ada"))
    refusal = await assert_refused(request(world, world.email("ada")), "TOO_MANY_ATTEMPTS")
    assert refusal.retry_after is not None and 3500 < refusal.retry_after <= 3600


@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        ({"email": "nobody"}, {"email": "valid email address"}),
        ({"code": "1234"}, {"code": "twelve letters and digits"}),
        ({"new_password": "eleven char"}, {"new_password": "at least 12 characters"}),
        ({"new_password": "e\u0301" * 8}, {"new_password": "at least 12 characters"}),
    ],
)
async def test_bad_input_is_named(world: World, fields: dict[str, str], violations: dict[str, str]) -> None:
    good = {"email": world.email("ada"), "code": "AAAA-BBBB-CCCC", "new_password": NEW}
    message = ResetPasswordRequest(**{**good, **fields})
    await assert_refused(
        world.auth.ResetPassword(message, metadata=world.at()), "REQUEST_INVALID", violations=violations
    )


async def test_a_weak_password_uses_up_no_code(world: World) -> None:
    person = await world.person("ada")
    code = await requested(world, person.email)
    weak = reset(world, person.email, code, "correcthorsebatterystaple")
    await assert_refused(weak, "PASSWORD_TOO_COMMON", violations={"new_password": "easily guessed"})
    await reset(world, person.email, code)


async def test_nothing_of_a_reset_stands_in_the_open(world: World) -> None:
    person = await world.person("ada")
    code = await requested(world, person.email)
    tables = ("code_requests", "outbox", "audit_events")
    everything = str([await world.rows(f"SELECT {table}::text FROM {table}") for table in tables])
    for secret in (person.email, code, code.replace("-", "")):
        assert secret not in everything
        assert secret.encode().hex() not in everything
