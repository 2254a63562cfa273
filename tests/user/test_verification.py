"""The proof of an address: codes that work once, for a day and for five tries."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from weft.user.v1 import auth_service_pb2_grpc
from weft.user.v1.auth_service_pb2 import (
    IssueVerificationCodeRequest,
    ResendVerificationRequest,
    VerifyEmailRequest,
)

from services.chassis import ids
from tests.harness import Refusal, refused
from tests.user.world import World

INVALID = (grpc.StatusCode.FAILED_PRECONDITION, "VERIFICATION_CODE_INVALID")


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


async def refusal_of(world: World, email: str, code: str) -> tuple[grpc.StatusCode, str]:
    found: Refusal = await refused(world.verify(email, code))
    return found.code, found.reason


async def test_the_right_code_opens_the_account_and_is_told(world: World) -> None:
    person = await world.sign_up("ada")
    await world.verify(person.email.upper(), await world.code(person))

    assert [tuple(row) for row in await world.rows("SELECT state FROM users")] == [("ACTIVE",)]
    assert (await world.told())[-1] == ("user.verified", person.user_id, 2)
    assert await world.rows("SELECT 1 FROM verification_codes") == []


async def test_a_code_works_once(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    await world.verify(person.email, code)
    assert await refusal_of(world, person.email, code) == INVALID


async def test_a_code_that_is_sent_ten_times_at_once_works_once(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    answers = await asyncio.gather(*(world.verify(person.email, code) for _ in range(10)), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    assert [kind for kind, _, _ in await world.told()].count("user.verified") == 1


async def test_the_sixth_try_is_refused_though_it_is_right(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    for _ in range(5):
        assert await refusal_of(world, person.email, wrong(code)) == INVALID
    assert await refusal_of(world, person.email, code) == INVALID
    # A new mail brings five new tries.
    await world.verify(person.email, await world.code(person))


async def test_the_fifth_try_still_works(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    for _ in range(4):
        await refusal_of(world, person.email, wrong(code))
    await world.verify(person.email, code)


async def test_a_hundred_guesses_at_once_are_five(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    guesses = [f"{(int(code) + step) % 10**8:08}" for step in range(1, 101)]
    await asyncio.gather(*(refusal_of(world, person.email, guess) for guess in guesses))
    assert [tuple(row) for row in await world.rows("SELECT tries FROM verification_codes")] == [(5,)]
    assert await refusal_of(world, person.email, code) == INVALID


async def test_a_new_code_voids_the_one_before(world: World) -> None:
    person = await world.sign_up("ada")
    first, second = await world.code(person), await world.code(person)
    assert await refusal_of(world, person.email, first) == INVALID
    await world.verify(person.email, second)


async def test_a_code_ends_after_a_day(world: World) -> None:
    person = await world.sign_up("ada")
    request = IssueVerificationCodeRequest(user_id=person.user_id)
    issued = await world.auth.IssueVerificationCode(request)
    assert issued.expire_time.ToDatetime(world.clock.now().tzinfo) == world.clock.now() + timedelta(hours=24)

    world.clock.advance(timedelta(hours=24))
    assert await refusal_of(world, person.email, issued.code) == INVALID


async def test_a_code_is_no_other_persons(world: World) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    code, _ = await world.code(ada), await world.code(bob)
    assert await refusal_of(world, bob.email, code) == INVALID


async def test_an_unknown_address_is_told_the_same_as_a_wrong_code(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    known = await refused(world.verify(person.email, wrong(code)))
    unknown = await refused(world.verify(world.email("nobody"), wrong(code)))
    assert known == unknown


async def test_codes_are_made_for_accounts_that_wait_only(world: World) -> None:
    person = await world.person("ada")
    verified = await refused(world.auth.IssueVerificationCode(IssueVerificationCodeRequest(user_id=person.user_id)))
    assert (verified.code, verified.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "USER_ALREADY_VERIFIED")
    assert verified.metadata == {"user_id": person.user_id}

    nobody = ids.new("usr")
    unknown = await refused(world.auth.IssueVerificationCode(IssueVerificationCodeRequest(user_id=nobody)))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")
    assert unknown.metadata == {"user_id": nobody}


async def test_the_edge_cannot_have_codes_made(world: World) -> None:
    person = await world.sign_up("ada")
    channel = world.channel_as("edge")
    stub = auth_service_pb2_grpc.AuthServiceStub(channel)
    refusal = await refused(stub.IssueVerificationCode(IssueVerificationCodeRequest(user_id=person.user_id)))
    await channel.close()
    assert refusal.reason == "CALLER_NOT_ALLOWED"


async def test_asking_again_mails_those_who_wait_and_nobody_else(world: World) -> None:
    waiting, done = await world.sign_up("ada"), await world.person("bob")
    before = len(await world.told())
    for email in (done.email, world.email("nobody")):
        await world.auth.ResendVerification(ResendVerificationRequest(email=email))
    assert len(await world.told()) == before

    await world.auth.ResendVerification(ResendVerificationRequest(email=waiting.email))
    assert (await world.told())[before:] == [("user.verification_requested", waiting.user_id, 2)]


@pytest.mark.parametrize("code", ["1234567", "123456789", "1234567a", ""])
async def test_what_is_no_code_is_refused_by_the_contract(world: World, code: str) -> None:
    refusal = await refused(world.auth.VerifyEmail(VerifyEmailRequest(email=world.email("ada"), code=code)))
    assert (refusal.reason, list(refusal.violations)) == ("REQUEST_INVALID", ["code"])
