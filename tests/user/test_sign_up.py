"""Sign-up: one answer for everyone, one account for an address."""

import statistics
import time

import grpc
import pytest
from weft.user.v1.auth_service_pb2 import SignUpRequest
from weft.user.v1.events_pb2 import UserSignedUp

from tests.harness import in_time, refused
from tests.user.world import PASSWORD, World


async def test_an_account_waits_for_its_proof_and_a_mail_is_asked_for(world: World) -> None:
    person = await world.sign_up("ada")

    row = (await world.rows("SELECT state, roles, plan, partner_id, locale FROM users"))[0]
    assert tuple(row) == ("INITIAL", ["customer"], "free", None, "en")
    (event,) = await world.events()
    fact = UserSignedUp()
    assert event.payload.Unpack(fact)
    assert (event.type, event.aggregate_id, event.sequence) == ("user.signed_up", person.user_id, 1)
    assert (event.actor, event.user_id, event.partner_id) == ("anonymous", person.user_id, "")
    assert fact == UserSignedUp(user_id=person.user_id)


async def test_the_answer_is_accepted(world: World) -> None:
    call = world.auth.SignUp(SignUpRequest(email=world.email("ada"), password=PASSWORD))
    await call
    assert ("x-http-status", "202") in tuple(await call.initial_metadata())


async def test_nothing_personal_and_no_password_stands_in_the_open(world: World) -> None:
    person = await world.sign_up("ada")
    code = await world.code(person)
    tables = ("users", "outbox", "verification_codes")
    # Bytes are shown in hexadecimal.
    everything = str([await world.rows(f"SELECT {table}::text FROM {table}") for table in tables])
    for secret in (person.email, "Ada", person.password, code):
        assert secret not in everything
        assert secret.encode().hex() not in everything


@pytest.mark.parametrize(
    "password", ["password1234", "P@ssw0rd2024!!", "123456789012", "Qwertyuiop12", "aaaaaaaaaaaa", "LetMeIn12345"]
)
async def test_a_common_password_is_refused_by_name(world: World, password: str) -> None:
    refusal = await refused(world.auth.SignUp(SignUpRequest(email=world.email("ada"), password=password)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PASSWORD_TOO_COMMON")
    assert await world.rows("SELECT 1 FROM users") == []


async def test_a_taken_address_gets_the_same_answer_and_its_owner_a_mail(world: World) -> None:
    person = await world.person("ada")
    await world.auth.SignUp(SignUpRequest(email=person.email.upper(), password="another password of mine"))

    assert (await world.told())[-1] == ("user.sign_up_repeated", person.user_id, 3)
    assert len(await world.rows("SELECT 1 FROM users")) == 1
    await world.sign_in(person.email, person.password)


async def test_who_signs_up_last_has_the_account_that_nobody_has_proven(world: World) -> None:
    stranger = await world.sign_up("ada", "a password of a stranger")
    owner = await world.sign_up("ada")
    assert owner.user_id == stranger.user_id
    assert [kind for kind, _, _ in await world.told()] == ["user.signed_up", "user.verification_requested"]

    await world.verify(owner.email, await world.code(owner))
    await world.sign_in(owner.email, owner.password)
    wrong = await refused(world.sign_in(owner.email, stranger.password))
    assert wrong.reason == "CREDENTIALS_INVALID"


async def test_twenty_sign_ups_at_once_make_one_account(world: World) -> None:
    request = SignUpRequest(email=world.email("ada"), password=PASSWORD)
    assert await in_time(world.auth.SignUp(request, timeout=20) for _ in range(20))

    assert len(await world.rows("SELECT 1 FROM users")) == 1
    told = await world.told()
    assert told[0][0] == "user.signed_up"
    assert {kind for kind, _, _ in told[1:]} == {"user.verification_requested"}
    assert [sequence for _, _, sequence in told] == list(range(1, len(told) + 1))


async def test_strangers_can_ask_for_ten_mails_an_hour_to_one_address(world: World) -> None:
    for _ in range(13):
        await world.sign_up("ada")
    assert len(await world.told()) == 10


@pytest.mark.soak
async def test_the_time_does_not_tell_whether_an_address_is_taken(world: World) -> None:
    person = await world.person("ada")

    async def seconds(email: str) -> float:
        begun = time.perf_counter()
        await world.auth.SignUp(SignUpRequest(email=email, password=PASSWORD))
        return time.perf_counter() - begun

    free, taken = [], []
    for number in range(60):
        free.append(await seconds(world.email(f"free{number}")))
        taken.append(await seconds(person.email))
    assert statistics.median(free) == pytest.approx(statistics.median(taken), rel=0.15)
