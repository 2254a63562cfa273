"""Enrolling, confirming, replacing and disabling one-time codes."""

import asyncio
from datetime import timedelta

import pytest
from weft.user.v1.auth_service_pb2 import RefreshRequest
from weft.user.v1.totp_pb2 import (
    ConfirmTotpRequest,
    DeleteTotpRequest,
    DisableTotpRequest,
    EnrollTotpRequest,
    GetTotpRequest,
    Totp,
)

from chassis import ids
from tests.harness import assert_refusal, assert_refused
from tests.user.totp.authenticator import STEP, confirm, enrol, protected
from tests.user.world import PASSWORD, Person, World

EMPTY = "SELECT 1 FROM totp_factors UNION ALL SELECT 1 FROM totp_enrolments UNION ALL SELECT 1 FROM recovery_codes"


async def status(world: World, person: Person) -> Totp:
    return await world.users.GetTotp(GetTotpRequest(user_id="me"), metadata=person.metadata)


async def test_codes_are_enabled_by_the_password_and_a_first_code(world: World) -> None:
    person = await world.person("ada")
    app = await enrol(world, person)
    assert (app.name, app.issuer, app.digits, app.interval) == (person.email, "Weft", 6, 30)
    # Until the first code nothing has changed.
    assert not (await status(world, person)).enabled
    await world.sign_in(person.email, person.password)

    codes = await confirm(world, person, app.at(world.clock.now()))
    assert len(set(codes)) == 10
    found = await status(world, person)
    assert (found.user_id, found.enabled, found.remaining_recovery_codes) == (person.user_id, True, 10)
    assert found.enable_time.ToDatetime(world.clock.now().tzinfo) == world.clock.now()
    await assert_refused(world.sign_in(person.email, person.password), "SECOND_FACTOR_REQUIRED")
    # Sessions go on, and a confirmation happens once.
    await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    await assert_refused(
        confirm(world, person, app.at(world.clock.now(), counter_offset=1)), "TOTP_ENROLMENT_NOT_FOUND"
    )
    assert (await world.emitted())[-1][:2] == ("user.totp_enabled", person.user_id)
    actions = [row.action for row in await world.rows("SELECT action FROM audit_events")]
    assert sorted(action for action in actions if action.startswith("totp.")) == ["totp.enabled", "totp.enrolled"]


async def test_no_secret_and_no_recovery_code_is_stored(world: World) -> None:
    ada = await protected(world, "ada")
    await enrol(world, ada.person, totp_code=ada.code())
    tables = ("totp_factors", "totp_enrolments", "recovery_codes", "audit_events", "outbox")
    everything = str([await world.rows(f"SELECT {table}::text FROM {table}") for table in tables]).lower()
    for secret in (ada.app.secret, ada.app.byte_secret().hex(), *ada.recovery_codes, ada.code()):
        assert secret.lower() not in everything
        assert secret.lower().encode().hex() not in everything


async def test_enrolling_needs_the_password_and_guesses_back_off(world: World) -> None:
    person = await world.person("ada")
    wrong = EnrollTotpRequest(password="not the password")
    for _ in range(5):
        await assert_refused(world.auth.EnrollTotp(wrong, metadata=person.metadata + world.at()), "CREDENTIALS_INVALID")
    await assert_refused(enrol(world, person), "TOO_MANY_ATTEMPTS")
    await assert_refused(world.auth.EnrollTotp(wrong), "TOKEN_MISSING")
    assert await world.rows(EMPTY) == []


async def test_a_first_code_may_be_wrong_five_times_and_only_this_session_may_give_it(world: World) -> None:
    person = await world.person("ada")
    app = await enrol(world, person)
    other = Person(person.email, tokens=await world.sign_in(person.email, person.password))
    right = app.at(world.clock.now())
    await assert_refused(confirm(world, other, right), "TOTP_ENROLMENT_NOT_FOUND")
    wrong = "000000" if right != "000000" else "000001"
    for _ in range(5):
        await assert_refused(confirm(world, person, wrong), "SECOND_FACTOR_INVALID")
    await assert_refused(confirm(world, person, right), "TOTP_ENROLMENT_NOT_FOUND")

    app = await enrol(world, person)
    world.clock.advance(timedelta(minutes=15))
    await assert_refused(confirm(world, person, app.at(world.clock.now())), "TOTP_ENROLMENT_NOT_FOUND")


async def test_of_many_confirmations_at_once_one_returns_the_codes_that_work(world: World) -> None:
    person = await world.person("ada")
    app = await enrol(world, person)
    code = app.at(world.clock.now())
    outcomes = await asyncio.gather(*(confirm(world, person, code) for _ in range(5)), return_exceptions=True)
    (codes,) = [outcome for outcome in outcomes if isinstance(outcome, list)]
    for outcome in outcomes:
        assert outcome is codes or assert_refusal(outcome, "TOTP_ENROLMENT_NOT_FOUND")
    assert (await status(world, person)).remaining_recovery_codes == 10
    # The first code is used up like any other.
    request = DisableTotpRequest(password=PASSWORD, totp_code=code)
    await assert_refused(world.auth.DisableTotp(request, metadata=person.metadata), "SECOND_FACTOR_INVALID")


@pytest.mark.parametrize("kind", ["totp_code", "recovery_code"])
async def test_another_app_takes_the_place_of_the_first_when_it_is_confirmed(world: World, kind: str) -> None:
    ada = await protected(world, "ada")
    await assert_refused(enrol(world, ada.person), "SECOND_FACTOR_REQUIRED")
    await assert_refused(enrol(world, ada.person, recovery_code="aaaa-aaaa-aaaa-aaaa"), "SECOND_FACTOR_INVALID")
    code = ada.code() if kind == "totp_code" else ada.recovery_codes[0]
    app = await enrol(world, ada.person, **{kind: code})
    world.clock.advance(STEP)
    await ada.sign_in(totp_code=ada.code())  # the first works until then
    codes = await confirm(world, ada.person, app.at(world.clock.now()))
    world.clock.advance(STEP)
    await assert_refused(ada.sign_in(totp_code=ada.code()), "SECOND_FACTOR_INVALID")
    await assert_refused(ada.sign_in(recovery_code=ada.recovery_codes[1]), "SECOND_FACTOR_INVALID")
    await ada.sign_in(recovery_code=codes[0])
    await ada.sign_in(totp_code=app.at(world.clock.now()))


async def test_codes_are_disabled_by_password_and_code(world: World) -> None:
    ada = await protected(world, "ada")

    async def disable(**fields: str) -> None:
        request = DisableTotpRequest(**{"password": PASSWORD, **fields})
        await world.auth.DisableTotp(request, metadata=ada.person.metadata + world.at())

    await assert_refused(disable(password="not the password", totp_code=ada.code()), "CREDENTIALS_INVALID")
    await assert_refused(disable(), "SECOND_FACTOR_REQUIRED")
    await assert_refused(disable(recovery_code="aaaa-aaaa-aaaa-aaaa"), "SECOND_FACTOR_INVALID")
    await disable(totp_code=ada.code())
    await assert_refused(disable(totp_code=ada.code()), "TOTP_NOT_ENABLED")
    assert await world.rows(EMPTY) == []
    await world.sign_in(ada.person.email, PASSWORD)
    assert ("user.totp_disabled", ada.person.user_id) in [event[:2] for event in await world.emitted()]
    bob = await protected(world, "bob")
    request = DisableTotpRequest(password=PASSWORD, recovery_code=bob.recovery_codes[0])
    await world.auth.DisableTotp(request, metadata=bob.person.metadata + world.at())
    used = await world.rows("SELECT subject FROM audit_events WHERE action = 'recovery_code.used'")
    assert used == [(bob.person.user_id,)]


async def test_guesses_at_disabling_back_off_too(world: World) -> None:
    ada = await protected(world, "ada")
    request = DisableTotpRequest(password=PASSWORD, recovery_code="aaaa-aaaa-aaaa-aaaa")
    metadata = ada.person.metadata + world.at()
    for _ in range(5):
        await assert_refused(world.auth.DisableTotp(request, metadata=metadata), "SECOND_FACTOR_INVALID")
    await assert_refused(world.auth.DisableTotp(request, metadata=metadata), "TOO_MANY_ATTEMPTS")


async def test_support_removes_a_lost_app_right_after_signing_in(world: World, operator: Person) -> None:
    ada = await protected(world, "ada")
    request = DeleteTotpRequest(user_id=ada.person.user_id)
    await assert_refused(world.users.DeleteTotp(request, metadata=ada.person.metadata), "CALLER_NOT_ALLOWED")
    for _ in range(2):
        await world.users.DeleteTotp(request, metadata=operator.metadata)
    await world.sign_in(ada.person.email, PASSWORD)
    removed = [event for event in await world.events() if event.type == "user.totp_disabled"]
    assert [(event.user_id, event.actor) for event in removed] == [(ada.person.user_id, operator.user_id)]
    rows = await world.rows("SELECT actor, subject FROM audit_events WHERE action = 'totp.disabled'")
    assert rows == [(operator.user_id, ada.person.user_id)]

    nobody = DeleteTotpRequest(user_id=ids.new("usr"))
    await assert_refused(world.users.DeleteTotp(nobody, metadata=operator.metadata), "USER_NOT_FOUND")
    fresh = GetTotpRequest(user_id=ids.new("usr"))
    await assert_refused(world.users.GetTotp(fresh, metadata=operator.metadata), "USER_NOT_FOUND")
    world.clock.advance(timedelta(minutes=10, seconds=1))
    await assert_refused(world.users.DeleteTotp(request, metadata=operator.metadata), "REAUTHENTICATION_REQUIRED")


@pytest.mark.parametrize(
    ("request_of", "field"),
    [
        (lambda: EnrollTotpRequest(), "password"),
        (lambda: EnrollTotpRequest(password=PASSWORD, totp_code="1234567"), "totp_code"),
        (lambda: EnrollTotpRequest(password=PASSWORD, recovery_code="?"), "recovery_code"),
        (lambda: ConfirmTotpRequest(), "totp_code"),
        (lambda: DisableTotpRequest(password=PASSWORD, totp_code="x"), "totp_code"),
    ],
)
async def test_bad_input_names_its_field(world: World, request_of, field: str) -> None:
    person, request = await world.person("ada"), request_of()
    rpc = getattr(world.auth, type(request).__name__.removesuffix("Request"))
    await assert_refused(rpc(request, metadata=person.metadata), "REQUEST_INVALID", violations={field: ""})
