"""Another e-mail address: proved by a code at the new one, told to the former one, and no way to learn which are taken."""

import asyncio
from datetime import timedelta

import pytest
from weft.user.v1 import one_time_code_pb2 as codes
from weft.user.v1.email_change_pb2 import ConfirmEmailChangeRequest, RequestEmailChangeRequest
from weft.user.v1.events_pb2 import EmailChanged
from weft.user.v1.user_service_pb2 import GetUserRequest

from tests.harness import assert_refused
from tests.user.accounts.calls import elsewhere, touches, wrong
from tests.user.password_changes.calls import change, issue, requested, reset
from tests.user.world import PASSWORD, Person, World


async def request(world: World, person: Person, email: str, password: str = PASSWORD, address: str = "") -> str:
    """Request a change; the id of the request."""
    message = RequestEmailChangeRequest(new_email=email, current_password=password)
    await world.auth.RequestEmailChange(message, metadata=[*person.metadata, *world.at(address)])
    return (await world.events())[-1].aggregate_id


async def confirm(world: World, person: Person, code: str) -> None:
    await world.auth.ConfirmEmailChange(ConfirmEmailChangeRequest(code=code), metadata=person.metadata)


async def test_a_change_is_proved_at_the_new_address_and_told_to_the_former_one(world: World) -> None:
    person, new = await world.person("ada"), world.email("Countess")
    before = await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)
    reset_code = await requested(world, person.email)
    mail = await issue(world, await request(world, person, new))
    assert (mail.message, mail.email, len(mail.code)) == (codes.CODE_MESSAGE_CODE, new, 8)
    await confirm(world, person, mail.code)

    me = await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)
    assert me.email == new
    assert me.etag != before.etag
    person.tokens = await world.sign_in(new.lower(), PASSWORD)
    await assert_refused(world.sign_in(person.email, PASSWORD), "CREDENTIALS_INVALID")
    await assert_refused(reset(world, person.email, reset_code), "CODE_INVALID")

    event, fact = (await world.events())[-1], EmailChanged()
    assert event.type == "user.email_changed"
    assert event.payload.Unpack(fact)
    await change(world, person)  # a thief who has changed the address goes on
    notice = await issue(world, fact.code_request_id)
    assert (notice.message, notice.email, notice.code) == (codes.CODE_MESSAGE_ADDRESS_CHANGED, person.email, "")
    rows = await world.rows("SELECT actor, fields FROM audit_events WHERE action = 'email.changed'")
    assert [tuple(row) for row in rows] == [(person.user_id, ["email"])]
    # The former address is free.
    await world.registered("ada")


async def test_the_answer_for_a_taken_address_is_the_same_and_the_mail_tells(start) -> None:
    async with start(pool_size=1) as world:
        person, owner = await world.person("ada"), await world.registered("bob")

        async def touched(email: str) -> dict[str, int]:
            before = await touches(world)
            await request(world, person, email, address=elsewhere())
            return {table: n - before[table] for table, n in (await touches(world)).items() if n != before[table]}

        await request(world, person, world.email("first"))  # the next ones replace it
        assert await touched(owner.email) == await touched(world.email("free"))
        taken = await issue(world, await request(world, person, owner.email.upper(), address=elsewhere()))
        assert (taken.message, taken.code) == (codes.CODE_MESSAGE_ADDRESS_TAKEN, "")


async def test_of_two_who_want_one_address_one_gets_it(world: World) -> None:
    new = world.email("countess")
    people = [await world.person("ada"), await world.person("bob")]
    mails = [await issue(world, await request(world, person, new)) for person in people]
    calls = [confirm(world, person, mail.code) for person, mail in zip(people, mails, strict=True)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    loser = answers.index(next(answer for answer in answers if answer is not None))
    await assert_refused(confirm(world, people[loser], mails[loser].code), "EMAIL_TAKEN")


async def test_a_code_is_its_requesters_works_once_for_five_attempts_and_an_hour(world: World) -> None:
    person, bob = await world.person("ada"), await world.person("bob")
    request_id = await request(world, person, world.email("countess"))
    code = (await issue(world, request_id)).code
    await assert_refused(confirm(world, bob, code), "CODE_INVALID")
    for _ in range(5):
        await assert_refused(confirm(world, person, wrong(code)), "CODE_INVALID")
    await assert_refused(confirm(world, person, code), "CODE_INVALID")

    code = (await issue(world, request_id)).code
    world.clock.advance(timedelta(hours=1))
    person.tokens = await world.sign_in(person.email, PASSWORD)
    await assert_refused(confirm(world, person, code), "CODE_INVALID")

    code = (await issue(world, request_id)).code
    answers = await asyncio.gather(*(confirm(world, person, code) for _ in range(4)), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1


async def test_a_newer_request_for_another_address_ends_the_one_before(world: World) -> None:
    person = await world.person("ada")
    first = await request(world, person, world.email("first"))
    code = (await issue(world, first)).code
    await request(world, person, world.email("second"))
    await assert_refused(issue(world, first), "CODE_REQUEST_NOT_FOUND")
    await assert_refused(confirm(world, person, code), "CODE_INVALID")


async def test_a_stolen_token_is_not_enough(world: World) -> None:
    person = await world.person("ada")
    await assert_refused(request(world, person, world.email("thief"), "a guess of a thief"), "CREDENTIALS_INVALID")
    assert await world.rows("SELECT 1 FROM code_requests") == []


async def test_mails_are_limited(world: World) -> None:
    person = await world.person("ada")
    for _ in range(5):
        await request(world, person, world.email("countess"))
    await assert_refused(request(world, person, world.email("countess")), "TOO_MANY_ATTEMPTS")


async def test_a_person_has_ten_mails_a_day_to_whatever_addresses(world: World) -> None:
    person = await world.person("ada")
    for number in range(10):
        await request(world, person, world.email(f"address{number}"))
    await assert_refused(request(world, person, world.email("another")), "TOO_MANY_ATTEMPTS")


@pytest.mark.parametrize("email", ["nobody", "a..b@c.example", "kim@localhost"])
async def test_an_address_that_no_mail_reaches_is_named(world: World, email: str) -> None:
    await assert_refused(
        request(world, await world.person("ada"), email), "REQUEST_INVALID", violations={"new_email": ""}
    )
