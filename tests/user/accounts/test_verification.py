"""Verification of an address: codes work once, for a day, for five attempts, and only with the password of their sign-up."""

import asyncio
from datetime import timedelta
from itertools import permutations

import pytest
from weft.user.v1 import auth_service_pb2_grpc, user_service_pb2
from weft.user.v1.auth_service_pb2 import (
    IssueVerificationCodeRequest,
    ResendVerificationRequest,
    VerifyEmailRequest,
)

from chassis import ids
from tests.harness import assert_refused, reason_of
from tests.user.accounts.calls import elsewhere, wrong
from tests.user.world import PASSWORD, Person, World

INVALID = "VERIFICATION_CODE_INVALID"
STRANGERS = "a password of a stranger"


async def resend(world: World, email: str, password: str = "", address: str = "") -> None:
    request = ResendVerificationRequest(email=email, password=password)
    await world.auth.ResendVerification(request, metadata=world.at(address))


async def test_the_right_code_opens_the_account_and_emits_an_event(world: World) -> None:
    person = await world.sign_up("ada", locale="de-AT")
    await world.verify(person.email.upper(), await world.code(person))

    (row,) = await world.rows("SELECT user_id, state, roles, plan, partner_id, locale FROM users")
    assert tuple(row)[1:] == ("ACTIVE", ["customer"], "free", None, "de-AT")
    assert (await world.emitted())[-1] == ("user.verified", row.user_id, 1)
    assert await world.rows("SELECT 1 FROM sign_ups") == []
    assert (await world.sign_in(person.email, person.password)).user_id == row.user_id


async def test_a_code_works_once(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    await world.verify(person.email, code)
    await assert_refused(world.verify(person.email, code), INVALID)


async def test_a_code_in_ten_concurrent_calls_works_once(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    calls = [world.verify(person.email, code, address=elsewhere()) for _ in range(10)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    assert [kind for kind, _, _ in await world.emitted()].count("user.verified") == 1


async def test_whatever_codes_come_and_in_whichever_order_only_the_owners_password_opens(world: World) -> None:
    """The mailbox is the owner's: they enter each code that it holds, with the password that is theirs."""
    for number, order in enumerate(permutations(range(4))):
        owner = await world.sign_up(f"ada{number}")
        stranger = await world.sign_up(f"ada{number}", STRANGERS, elsewhere())
        codes = [await world.code(who) for who in (owner, stranger, owner, stranger)]
        opened = [which for which in order if await opens(world, owner, codes[which])]

        assert opened == [2]  # the newest code of the owner's own sign-up
        await world.sign_in(owner.email, owner.password)
        await assert_refused(world.sign_in(owner.email, STRANGERS), "CREDENTIALS_INVALID")


async def opens(world: World, person: Person, code: str) -> bool:
    return not await reason_of(world.verify(person.email, code, person.password))


async def test_the_owners_name_is_the_owners(world: World) -> None:
    owner = await world.sign_up("ada", display_name="Ada")
    await world.sign_up("ada", STRANGERS, elsewhere(), display_name="Your account is closed, call 555 01 23")
    await world.verify(owner.email, await world.code(owner))
    owner.tokens = await world.sign_in(owner.email, owner.password)
    me = await world.users.GetUser(user_service_pb2.GetUserRequest(user_id="me"), metadata=owner.metadata)
    assert me.display_name == "Ada"


async def test_a_verification_ends_only_the_other_sign_ups_of_its_address(world: World) -> None:
    owner, bob = await world.sign_up("ada"), await world.sign_up("bob")
    stranger = await world.sign_up("ada", STRANGERS, elsewhere())
    code = await world.code(stranger)
    await world.verify(owner.email, await world.code(owner))

    assert [row.sign_up_id for row in await world.rows("SELECT sign_up_id FROM sign_ups")] == [bob.sign_up_id]
    await assert_refused(world.verify(owner.email, code, STRANGERS), INVALID)
    await assert_refused(world.code(stranger), "SIGN_UP_NOT_FOUND")


async def test_of_two_concurrent_verifications_of_one_address_one_gets_the_account(world: World) -> None:
    for number in range(5):
        name = f"ada{number}"
        people = [await world.sign_up(name, f"the password of person {n}", elsewhere()) for n in range(4)]
        codes = [await world.code(person) for person in people]
        calls = [
            world.verify(person.email, code, person.password, elsewhere())
            for person, code in zip(people, codes, strict=True)
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(answer is None for answer in answers) == 1
        opened = [person for person, answer in zip(people, answers, strict=True) if answer is None]
        for person in people:
            signed_in = world.sign_in(person.email, person.password, elsewhere())
            if person in opened:
                await signed_in
            else:
                await assert_refused(signed_in, "CREDENTIALS_INVALID")


async def test_the_sixth_attempt_is_refused_though_it_is_right(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    for _ in range(5):
        await assert_refused(world.verify(person.email, wrong(code), address=elsewhere()), INVALID)
    await assert_refused(world.verify(person.email, code, address=elsewhere()), INVALID)
    # A new mail brings five new attempts.
    await world.verify(person.email, await world.code(person))


async def test_the_fifth_attempt_still_works(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    for _ in range(4):
        await reason_of(world.verify(person.email, wrong(code)))
    await world.verify(person.email, code)


async def test_a_hundred_concurrent_guesses_count_as_five(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    guesses = [f"{(int(code) + step) % 10**8:08}" for step in range(1, 101)]
    answers = await asyncio.gather(*(reason_of(world.verify(person.email, guess)) for guess in guesses))
    assert answers.count("TOO_MANY_ATTEMPTS") == 95
    assert [tuple(row) for row in await world.rows("SELECT attempts FROM sign_ups")] == [(5,)]
    await assert_refused(world.verify(person.email, code, address=elsewhere()), INVALID)


async def test_who_does_not_know_the_password_spends_none_of_the_owners_attempts(world: World) -> None:
    owner = await world.sign_up("ada")
    code = await world.code(owner)
    for _ in range(4):
        stranger = elsewhere()
        for _ in range(5):
            await assert_refused(world.verify(owner.email, wrong(code), STRANGERS, stranger), INVALID)
    assert [row.attempts for row in await world.rows("SELECT attempts FROM sign_ups")] == [0]
    await world.verify(owner.email, code)


async def test_who_guesses_from_one_network_waits_and_the_owner_does_not(world: World) -> None:
    owner = await world.sign_up("ada")
    code, stranger = await world.code(owner), elsewhere()
    for _ in range(5):
        await reason_of(world.verify(owner.email, wrong(code), STRANGERS, stranger))
    refusal = await assert_refused(world.verify(owner.email, wrong(code), STRANGERS, stranger), "TOO_MANY_ATTEMPTS")
    assert refusal.retry_after == 1
    await world.verify(owner.email, code)


async def test_a_new_code_voids_the_one_before(world: World) -> None:
    person = await world.sign_up("ada")
    first, second = await world.code(person), await world.code(person)
    await assert_refused(world.verify(person.email, first), INVALID)
    await world.verify(person.email, second)


async def test_a_code_ends_after_a_day(world: World) -> None:
    person = await world.sign_up("ada")
    issued = await world.auth.IssueVerificationCode(IssueVerificationCodeRequest(sign_up_id=person.sign_up_id))
    assert issued.expire_time.ToDatetime(world.clock.now().tzinfo) == world.clock.now() + timedelta(hours=24)

    world.clock.advance(timedelta(hours=24))
    await assert_refused(world.verify(person.email, issued.code), INVALID)


async def test_a_code_is_no_other_persons(world: World) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    code, _ = await world.code(ada), await world.code(bob)
    await assert_refused(world.verify(bob.email, code), INVALID)


async def test_an_unknown_address_a_wrong_password_and_a_wrong_code_get_the_same_response(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    answers = [
        await assert_refused(world.verify(person.email, wrong(code)), INVALID),
        await assert_refused(world.verify(person.email, code, STRANGERS), INVALID),
        await assert_refused(world.verify(world.email("nobody"), code), INVALID),
    ]
    assert answers[0] == answers[1] == answers[2]


async def test_codes_are_made_for_sign_ups_that_wait_only(world: World) -> None:
    nobody = ids.new("sgn")
    await assert_refused(
        world.auth.IssueVerificationCode(IssueVerificationCodeRequest(sign_up_id=nobody)),
        "SIGN_UP_NOT_FOUND",
        sign_up_id=nobody,
    )


async def test_the_edge_cannot_have_codes_made(world: World) -> None:
    person = await world.sign_up("ada")
    channel = world.channel_as("edge")
    stub = auth_service_pb2_grpc.AuthServiceStub(channel)
    request = IssueVerificationCodeRequest(sign_up_id=person.sign_up_id)
    await assert_refused(stub.IssueVerificationCode(request), "CALLER_NOT_ALLOWED")
    await channel.close()


async def mails_requested_again(world: World) -> list[str]:
    """The sign-ups that another mail was requested for."""
    return [subject for kind, subject, _ in await world.emitted() if kind == "user.verification_requested"]


async def test_a_resend_with_a_password_finds_its_sign_up_from_any_network(world: World) -> None:
    owner: Person = await world.sign_up("ada")
    stranger = await world.sign_up("ada", STRANGERS, elsewhere())
    await resend(world, owner.email, owner.password, elsewhere())
    await resend(world, owner.email, STRANGERS, elsewhere())
    await resend(world, owner.email, "the password of nobody at all")
    assert await mails_requested_again(world) == [owner.sign_up_id, stranger.sign_up_id]
    assert (await world.emitted())[-2:] == [
        ("user.verification_requested", owner.sign_up_id, 2),
        ("user.verification_requested", stranger.sign_up_id, 2),
    ]


async def test_a_resend_without_a_password_finds_only_sign_ups_of_the_callers_network(world: World) -> None:
    owner, other = await world.sign_up("ada"), await world.person("bob")
    await world.sign_up("ada", STRANGERS, elsewhere())
    for email, address in ((owner.email, elsewhere()), (other.email, ""), (world.email("nobody"), "")):
        await resend(world, email, address=address)
    assert await mails_requested_again(world) == []
    await resend(world, owner.email)
    assert await mails_requested_again(world) == [owner.sign_up_id]


async def test_resends_of_strangers_leave_the_owner_their_mails(world: World) -> None:
    owner = await world.sign_up("ada")
    for _ in range(4):
        stranger = elsewhere()
        calls = [resend(world, owner.email, address=stranger) for _ in range(6)]
        assert any(await asyncio.gather(*calls, return_exceptions=True))
    await resend(world, owner.email)
    assert await mails_requested_again(world) == [owner.sign_up_id]
    await world.verify(owner.email, await world.code(owner))


@pytest.mark.parametrize("code", ["1234567", "123456789", "1234567a", ""])
async def test_what_is_no_code_is_refused_by_the_contract(world: World, code: str) -> None:
    request = VerifyEmailRequest(email=world.email("ada"), code=code, password=PASSWORD)
    await assert_refused(
        world.auth.VerifyEmail(request), "REQUEST_INVALID", violations={"code": "must be eight digits"}
    )


async def test_a_verification_needs_a_password(world: World) -> None:
    await assert_refused(
        world.auth.VerifyEmail(VerifyEmailRequest(email=world.email("ada"), code="12345678")),
        "REQUEST_INVALID",
        violations={"password": "at least 1 char"},
    )
