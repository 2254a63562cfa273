"""Sign-in with a passkey alone."""

import asyncio
import copy
import secrets
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from weft.user.v1 import passkey_pb2 as pb
from weft.user.v1.auth_service_pb2 import TokenPair

from tests.harness import assert_refused
from tests.user.passkeys.authenticator import challenged, changed, present, register, sign_in
from tests.user.totp.authenticator import protected
from tests.user.world import World


def elsewhere() -> str:
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::9"


async def test_a_passkey_signs_in_alone_and_counts_as_two_factors(world: World) -> None:
    ada = await protected(world, "ada")
    ada.person.tokens = await ada.sign_in(totp_code=ada.code())
    device, passkey = await register(world, ada.person)
    options = json_format.MessageToDict(await challenged(world))
    assert (options["rpId"], options["userVerification"], options["allowCredentials"]) == ("weft.test", "required", [])

    tokens = await sign_in(world, device)
    claims = await world.claims(tokens.access_token)
    assert (tokens.user_id, claims["amr"], claims["acr"]) == (ada.person.user_id, ["pop", "user", "mfa"], "aal2")
    ada.person.tokens = tokens
    (seen,) = (
        await world.users.ListPasskeys(pb.ListPasskeysRequest(user_id="me"), metadata=ada.person.metadata)
    ).passkeys
    assert seen.passkey_id == passkey.passkey_id
    assert seen.last_use_time.ToDatetime(world.clock.now().tzinfo) == world.clock.now()


async def test_whatever_does_not_fit_gets_the_same_response(world: World) -> None:
    person, other = await world.person("ada"), await world.person("bob")
    device, _ = await register(world, person)
    stranger, _ = await register(world, other)
    own = device.soft.credential_id
    options = await challenged(world)
    right = device.get(options)
    answers = []

    async def present_wrong(credential: dict[str, Any]) -> None:
        answers.append(await assert_refused(present(world, credential, elsewhere()), "PASSKEY_INVALID"))

    await present_wrong(changed(right, signature="AAAA"))
    handle = json_format.MessageToDict(stranger.get(options))["response"]["userHandle"]
    for wrong in ({"userHandle": handle}, {"userHandle": ""}, {"authenticatorData": "AAAA"}):
        await present_wrong(changed(right, **wrong))
    for flag, origin in ((0, device.origin), (device.flags, "https://weft.example")):
        twin = copy.copy(device)
        twin.flags, twin.origin = flag, origin
        await present_wrong(twin.get(await challenged(world)))
    device.soft.credential_id = secrets.token_bytes(32)
    await present_wrong(device.get(await challenged(world)))
    device.soft.credential_id = own
    world.clock.advance(timedelta(minutes=5))
    await present_wrong(right)
    await world.rows("UPDATE users SET state = 'INACTIVE' WHERE user_id = %(id)s RETURNING 1", id=person.user_id)
    await present_wrong(device.get(await challenged(world)))
    assert answers == answers[:1] * len(answers)
    assert len(await world.rows("SELECT 1 FROM sessions")) == 2


async def test_a_challenge_works_once_also_at_once_on_two_replicas(start, world: World) -> None:
    person = await world.person("ada")
    device, _ = await register(world, person)
    credential = device.get(await challenged(world))
    async with start(prefix=world.app.settings.database_prefix) as other:
        outcomes = await asyncio.gather(
            *(present(where, credential, elsewhere()) for where in [world, other] * 5), return_exceptions=True
        )
    assert sum(isinstance(outcome, TokenPair) for outcome in outcomes) == 1
    # A response that is sent twice is no sign of a copied key.
    assert "user.passkey_copied" not in [kind for kind, _, _ in await world.emitted()]


async def test_a_challenge_of_a_registration_does_not_sign_in(world: World) -> None:
    person = await world.person("ada")
    device, _ = await register(world, person)
    begun = await world.auth.BeginPasskeyRegistration(pb.BeginPasskeyRegistrationRequest(), metadata=person.metadata)
    options = await challenged(world)
    options["challenge"] = begun.public_key["challenge"]
    await assert_refused(present(world, device.get(options)), "PASSKEY_INVALID")


async def test_a_counter_that_goes_back_is_refused_and_its_owner_told(world: World) -> None:
    person = await world.person("ada")
    device, _ = await register(world, person)
    copied = device.soft.sign_count
    for _ in range(2):
        await sign_in(world, device)
    device.soft.sign_count = copied
    await assert_refused(sign_in(world, device), "PASSKEY_INVALID")
    (told,) = [event for event in await world.events() if event.type == "user.passkey_copied"]
    assert told.user_id == person.user_id
    assert len(await world.rows("SELECT 1 FROM audit_events WHERE action = 'passkey.refused'")) == 1


async def test_a_passkey_that_was_removed_does_not_sign_in(world: World) -> None:
    person = await world.person("ada")
    device, passkey = await register(world, person)
    request = pb.DeletePasskeyRequest(user_id="me", passkey_id=passkey.passkey_id)
    await world.users.DeletePasskey(request, metadata=person.metadata)
    await assert_refused(sign_in(world, device), "PASSKEY_INVALID")


@pytest.mark.parametrize("valkey", ["there", "gone"])
async def test_what_does_not_fit_backs_off_over_two_replicas_and_locks_nobody_out(start, valkey: str) -> None:
    more = {"redis_url": "redis://127.0.0.1:1/0"} if valkey == "gone" else {}
    async with start(**more) as world, start(prefix=world.app.settings.database_prefix, **more) as other:
        other.address = world.address
        device, _ = await register(world, await world.person("ada"))
        wrong = changed(device.get(await challenged(world)), signature="AAAA")
        for replica in (world, other, world, other, world):
            await assert_refused(present(replica, wrong), "PASSKEY_INVALID")
        refusal = await assert_refused(present(other, device.get(await challenged(world))), "TOO_MANY_ATTEMPTS")
        assert refusal.retry_after == 1
        await present(other, device.get(await challenged(world)), elsewhere())


async def test_what_is_no_credential_is_a_bad_request(world: World) -> None:
    for malformed in (Struct(), json_format.ParseDict({"rawId": 7, "response": {"clientDataJSON": "e30"}}, Struct())):
        request = pb.FinishPasskeySignInRequest(credential=malformed)
        call = world.auth.FinishPasskeySignIn(request, metadata=world.at())
        await assert_refused(call, "REQUEST_INVALID", violations={"credential": "must be the JSON"})
