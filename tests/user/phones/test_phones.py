"""A phone number is proved by a code, and text messages are limited in the database, also without a cache."""

import asyncio
import secrets
from datetime import timedelta

import pytest
from weft.user.v1 import one_time_code_pb2 as codes
from weft.user.v1.phone_pb2 import ConfirmPhoneRequest, RequestPhoneVerificationRequest

from tests.harness import assert_refused
from tests.user.accounts.calls import elsewhere, wrong
from tests.user.password_changes.calls import issue
from tests.user.world import PASSWORD, Person, World


def number() -> str:
    return f"+43660{secrets.randbelow(10**8):08}"


async def request(world: World, person: Person, phone: str, address: str = "") -> str:
    """Request a text message; the id of the request."""
    message = RequestPhoneVerificationRequest(phone=phone)
    await world.auth.RequestPhoneVerification(message, metadata=[*person.metadata, *world.at(address)])
    return (await world.events())[-1].aggregate_id


async def confirm(world: World, person: Person, code: str) -> None:
    await world.auth.ConfirmPhone(ConfirmPhoneRequest(code=code), metadata=person.metadata)


async def test_a_number_is_proved_by_the_code_that_was_sent_to_it(world: World) -> None:
    person, phone = await world.person("ada"), number()
    text = await issue(world, await request(world, person, phone))
    assert (text.message, text.phone, text.email, len(text.code)) == (codes.CODE_MESSAGE_CODE, phone, "", 8)
    await confirm(world, person, text.code)
    (user,) = await world.rows("SELECT phone_sealed, phone_verified_at FROM users")
    assert world.app.vault.open(bytes(user.phone_sealed), "user.phone").decode() == phone
    assert user.phone_verified_at == world.clock.now()
    assert (await world.emitted())[-1] == ("user.phone_verified", person.user_id, 2)
    rows = await world.rows("SELECT actor, fields FROM audit_events WHERE action = 'phone.verified'")
    assert [tuple(row) for row in rows] == [(person.user_id, ["phone", "phone_verified"])]
    tables = ("users", "code_requests", "outbox", "audit_events", "text_counts")
    everything = str([await world.rows(f"SELECT {table}::text FROM {table}") for table in tables])
    for secret in (phone, text.code):
        assert secret not in everything
        assert secret.encode().hex() not in everything


async def test_a_code_is_its_requesters_works_once_for_five_attempts_and_ten_minutes(world: World) -> None:
    person, bob = await world.person("ada"), await world.person("bob")
    request_id = await request(world, person, number())
    code = (await issue(world, request_id)).code
    await assert_refused(confirm(world, bob, code), "CODE_INVALID")
    for _ in range(5):
        await assert_refused(confirm(world, person, wrong(code)), "CODE_INVALID")
    await assert_refused(confirm(world, person, code), "CODE_INVALID")

    code = (await issue(world, request_id)).code
    world.clock.advance(timedelta(minutes=10))
    await assert_refused(confirm(world, person, code), "CODE_INVALID")

    code = (await issue(world, request_id)).code
    answers = await asyncio.gather(*(confirm(world, person, code) for _ in range(4)), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1


async def test_a_number_a_user_and_a_network_have_their_limits_without_a_cache_too(start) -> None:
    async with start(redis_url="redis://127.0.0.1:1/0", texts_of_network=12) as world:
        person, phone, network = await world.person("ada"), number(), elsewhere()
        for _ in range(5):
            await request(world, person, phone)
        refusal = await assert_refused(request(world, await world.person("bob"), phone), "TOO_MANY_ATTEMPTS")
        assert refusal.retry_after == 24 * 3600
        for _ in range(5):
            await request(world, person, number(), elsewhere())
        await assert_refused(request(world, person, number(), elsewhere()), "TOO_MANY_ATTEMPTS")

        people = [await world.person(f"user{n}") for n in range(13)]
        for each in people[:12]:
            await request(world, each, number(), network)
        await assert_refused(request(world, people[12], number(), network), "TOO_MANY_ATTEMPTS")
        world.clock.advance(timedelta(days=1))
        person.tokens = await world.sign_in(person.email, PASSWORD)
        await request(world, person, phone, network)


async def test_twenty_concurrent_requests_send_five(world: World) -> None:
    person, phone = await world.person("ada"), number()
    message = RequestPhoneVerificationRequest(phone=phone)
    calls = [
        world.auth.RequestPhoneVerification(message, metadata=[*person.metadata, *world.at(elsewhere())])
        for _ in range(20)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 5
    kinds = [kind for kind, _, _ in await world.emitted()]
    assert kinds.count("user.phone_verification_requested") == 5


@pytest.mark.parametrize("phone", ["", "0660123456", "+0660123456", "+43 660 123456", "+12345", "+1234567890123456"])
async def test_what_is_no_number_is_named(world: World, phone: str) -> None:
    await assert_refused(
        request(world, await world.person("ada"), phone), "REQUEST_INVALID", violations={"phone": "E.164"}
    )
