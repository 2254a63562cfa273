"""Sign-up: the same response for everyone, after the same work, and a pending sign-up for each address and password."""

import asyncio
import secrets

import grpc
import pytest
from weft.user.v1.auth_service_pb2 import IssueVerificationCodeRequest, ResendVerificationRequest, SignUpRequest
from weft.user.v1.events_pb2 import UserSignedUp

from tests.harness import assert_refused, refusal
from tests.user.accounts.calls import elsewhere, touches
from tests.user.world import PASSWORD, World


async def test_a_sign_up_is_pending_and_requests_a_mail(world: World) -> None:
    person = await world.sign_up("ada", locale="DE-at")

    assert await world.rows("SELECT 1 FROM users") == []
    (row,) = await world.rows("SELECT sign_up_id, locale, mails, code_hash FROM sign_ups")
    assert tuple(row) == (person.sign_up_id, "de-AT", 1, None)
    (event,) = await world.events()
    fact = UserSignedUp()
    assert event.payload.Unpack(fact)
    assert (event.type, event.aggregate_id, event.sequence) == ("user.signed_up", person.sign_up_id, 1)
    assert (event.actor, event.user_id, event.partner_id) == ("anonymous", "", "")
    assert fact == UserSignedUp(sign_up_id=person.sign_up_id)


async def test_the_answer_is_accepted(world: World) -> None:
    call = world.auth.SignUp(SignUpRequest(email=world.email("ada"), password=PASSWORD), metadata=world.at())
    await call
    assert ("x-http-status", "202") in tuple(await call.initial_metadata())


async def test_nothing_personal_and_no_password_stands_in_the_open(world: World) -> None:
    person, registered = await world.sign_up("ada"), await world.person("bob")
    code = await world.code(person)
    tables = ("users", "outbox", "sign_ups")
    # Bytes are shown in hexadecimal.
    everything = str([await world.rows(f"SELECT {table}::text FROM {table}") for table in tables])
    for secret in (person.email, registered.email, "Ada", "Bob", person.password, code):
        assert secret not in everything
        assert secret.encode().hex() not in everything


@pytest.mark.parametrize(
    "password", ["password1234", "P@ssw0rd2024!!", "123456789012", "Qwertyuiop12", "aaaaaaaaaaaa", "LetMeIn12345"]
)
async def test_a_common_password_is_refused_by_name(world: World, password: str) -> None:
    await assert_refused(
        world.sign_up("ada", password), "PASSWORD_TOO_COMMON", violations={"password": "easily guessed"}
    )
    assert await world.rows("SELECT 1 FROM sign_ups") == []


@pytest.mark.parametrize("email", ["kim..x@docomo.example", "kim@b..example", "kim@b.invalid", "kim@localhost"])
async def test_an_address_that_no_mail_reaches_is_refused(world: World, email: str) -> None:
    await assert_refused(
        world.auth.SignUp(SignUpRequest(email=email, password=PASSWORD), metadata=world.at()),
        "REQUEST_INVALID",
        violations={"email": ""},
    )


async def test_a_taken_address_gets_the_same_response_and_its_owner_a_mail_without_a_code(world: World) -> None:
    owner = await world.person("ada")
    request = SignUpRequest(email=owner.email.upper(), password="another password of mine", locale="de")
    await world.auth.SignUp(request, metadata=world.at(elsewhere()))

    asked = (await world.events())[-1]
    assert (asked.type, asked.user_id) == ("user.signed_up", "")
    mail = await world.auth.IssueVerificationCode(IssueVerificationCodeRequest(sign_up_id=asked.aggregate_id))
    assert (mail.code, mail.email, mail.locale) == ("", owner.email.upper(), "en")
    assert len(await world.rows("SELECT 1 FROM users")) == 1
    await world.sign_in(owner.email, owner.password)


async def test_a_sign_up_does_the_same_whether_or_not_the_address_has_an_account(start) -> None:
    """No row of `users` is read: neither the response nor its duration can reveal an account."""
    async with start(pool_size=1) as world:
        owner = await world.person("ada")

        async def touched(email: str) -> dict[str, int]:
            before = await touches(world)
            request = SignUpRequest(email=email, password="another password of mine")
            await world.auth.SignUp(request, metadata=world.at(elsewhere()))
            return {table: n - before[table] for table, n in (await touches(world)).items() if n != before[table]}

        taken, free = await touched(owner.email), await touched(world.email("bob"))
        assert taken == free
        assert set(taken) == {"audit_events", "outbox", "sign_ups"}


async def test_concurrent_sign_ups_of_one_person_are_one(world: World) -> None:
    await asyncio.gather(*(world.sign_up("ada", address=elsewhere()) for _ in range(5)))
    assert [row.mails for row in await world.rows("SELECT mails FROM sign_ups")] == [5]
    emitted = await world.emitted()
    assert {kind for kind, _, _ in emitted} == {"user.signed_up"}
    assert sorted(sequence for _, _, sequence in emitted) == list(range(1, 6))


async def test_two_hundred_parallel_sign_ups_of_one_address_make_one_account(world: World) -> None:
    calls = [world.sign_up("ada", address=elsewhere()) for _ in range(200)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    accepted = [answer for answer in answers if not isinstance(answer, BaseException)]
    # More than ten mails are refused, and hashes that would wait too long.
    assert 1 <= len(accepted) <= 10
    assert {refusal(e).reason for e in answers if isinstance(e, grpc.RpcError)} <= {
        "TOO_MANY_ATTEMPTS",
        "OVERLOADED",
        "SERVICE_UNAVAILABLE",
    }
    (row,) = await world.rows("SELECT sign_up_id FROM sign_ups")
    mail = await world.auth.IssueVerificationCode(IssueVerificationCodeRequest(sign_up_id=row.sign_up_id))
    opened = await asyncio.gather(
        *(world.verify(mail.email, mail.code, address=elsewhere()) for _ in range(20)), return_exceptions=True
    )
    assert sum(answer is None for answer in opened) == 1
    assert len(await world.rows("SELECT 1 FROM users")) == 1


async def test_one_network_may_request_five_mails_an_hour_to_an_address(world: World) -> None:
    for _ in range(5):
        await world.sign_up("ada")
    refusal = await assert_refused(world.sign_up("ada"), "TOO_MANY_ATTEMPTS")
    assert refusal.retry_after is not None and 3500 < refusal.retry_after <= 3600
    await world.sign_up("bob")
    assert len(await world.emitted()) == 6


async def test_a_mailbox_that_is_flooded_still_hears_of_its_owner_and_once_from_each_neighbourhood(
    world: World,
) -> None:
    for number in range(10):
        await world.sign_up("ada", f"the password of stranger {number}", elsewhere())
    stranger = elsewhere()
    await world.sign_up("ada", "a password of a stranger", stranger)
    neighbour = stranger.replace("::9", ":1::9")
    await assert_refused(world.sign_up("ada", "a password of a stranger", neighbour), "TOO_MANY_ATTEMPTS")

    owner = await world.sign_up("ada")
    await world.verify(owner.email, await world.code(owner))
    await world.sign_in(owner.email, owner.password)


async def test_a_sign_up_has_ten_mails_in_its_life(start) -> None:
    async with start(redis_url="redis://127.0.0.1:1/0") as world:
        for _ in range(10):
            await world.sign_up("ada")
        found = await assert_refused(world.sign_up("ada"), "TOO_MANY_ATTEMPTS")
        assert found.retry_after == 24 * 3600
        assert len(await world.emitted()) == 10


async def test_one_network_may_request_a_hundred_mails_an_hour(world: World) -> None:
    mine = f"{secrets.randbelow(100)}.{secrets.randbelow(256)}.{secrets.randbelow(256)}.7"
    requests = [ResendVerificationRequest(email=world.email(f"u{number}")) for number in range(100)]
    await asyncio.gather(*(world.auth.ResendVerification(each, metadata=world.at(mine)) for each in requests))
    await assert_refused(world.sign_up("more", address=mine), "TOO_MANY_ATTEMPTS")
    await world.sign_up("more")
