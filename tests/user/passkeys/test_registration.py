"""Adding, listing, renaming and removing passkeys."""

import asyncio
from datetime import timedelta

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from weft.user.v1 import passkey_pb2 as pb

from chassis import ids
from services.user.passkeys.domain import MAX_PASSKEYS
from tests.harness import assert_refused
from tests.user.passkeys.authenticator import Device, begin, changed, finish, register
from tests.user.totp.authenticator import protected
from tests.user.world import PASSWORD, Person, World


async def listed(world: World, person: Person) -> list[pb.Passkey]:
    return list(
        (await world.users.ListPasskeys(pb.ListPasskeysRequest(user_id="me"), metadata=person.metadata)).passkeys
    )


async def delete(world: World, person: Person, passkey_id: str) -> None:
    request = pb.DeletePasskeyRequest(user_id="me", passkey_id=passkey_id)
    await world.users.DeletePasskey(request, metadata=person.metadata)


async def test_options_are_the_json_that_browsers_parse(world: World) -> None:
    person = await world.person("ada")
    options = json_format.MessageToDict(await begin(world, person))
    assert options["rp"] == {"name": "Weft", "id": "weft.test"}
    assert {name: options["user"][name] for name in ("name", "displayName")} == {
        "name": person.email,
        "displayName": "Ada",
    }
    assert {"alg": -7, "type": "public-key"} in options["pubKeyCredParams"]
    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert (options["attestation"], options["timeout"], options["excludeCredentials"]) == ("none", 300_000, [])
    _, passkey = await register(world, person)
    assert len(json_format.MessageToDict(await begin(world, person))["excludeCredentials"]) == 1
    assert passkey.display_name == "Passkey"


async def test_a_passkey_is_added_listed_renamed_and_removed(world: World) -> None:
    person = await world.person("ada")
    _, first = await register(world, person, "Phone")
    world.clock.advance(timedelta(seconds=1))
    _, second = await register(world, person, "Key")
    assert (first.user_id, first.display_name, first.backed_up, first.etag) == (person.user_id, "Phone", False, "1")
    assert not first.HasField("last_use_time")
    assert await listed(world, person) == [second, first]

    def update(**fields: str) -> pb.UpdatePasskeyRequest:
        new = pb.Passkey(user_id="me", passkey_id=first.passkey_id, **fields)
        return pb.UpdatePasskeyRequest(passkey=new)

    renamed = await world.users.UpdatePasskey(update(display_name="Old phone", etag="1"), metadata=person.metadata)
    assert (renamed.display_name, renamed.etag) == ("Old phone", "2")
    assert await world.users.UpdatePasskey(update(), metadata=person.metadata) == renamed
    stale = world.users.UpdatePasskey(update(display_name="Phone", etag="1"), metadata=person.metadata)
    await assert_refused(stale, "ETAG_MISMATCH", etag="2")

    await delete(world, person, first.passkey_id)
    await assert_refused(delete(world, person, first.passkey_id), "PASSKEY_NOT_FOUND", passkey_id=first.passkey_id)
    await assert_refused(
        world.users.UpdatePasskey(update(display_name="x"), metadata=person.metadata), "PASSKEY_NOT_FOUND"
    )
    assert await listed(world, person) == [second]
    told = [kind for kind, _, _ in await world.emitted()]
    assert [kind for kind in told if "passkey" in kind] == ["user.passkey_added"] * 2 + ["user.passkey_removed"]
    audited = await world.rows("SELECT action FROM audit_events WHERE action LIKE 'passkey.%%'")
    assert sorted(row.action for row in audited) == ["passkey.added"] * 2 + ["passkey.removed", "passkey.updated"]


async def test_pages_of_passkeys(world: World) -> None:
    person = await world.person("ada")
    for _ in range(3):
        await register(world, person)
        world.clock.advance(timedelta(seconds=1))
    everything, token = await listed(world, person), ""
    for expected in everything:
        request = pb.ListPasskeysRequest(user_id="me", page_size=1, page_token=token)
        page = await world.users.ListPasskeys(request, metadata=person.metadata)
        assert list(page.passkeys) == [expected]
        token = page.next_page_token
    assert token == ""


async def test_adding_needs_the_password_or_a_fresh_sign_in(world: World) -> None:
    person = await world.person("ada")
    await begin(world, person)
    world.clock.advance(timedelta(minutes=10, seconds=1))
    await assert_refused(begin(world, person), "REAUTHENTICATION_REQUIRED")
    await assert_refused(begin(world, person, password="not the password"), "CREDENTIALS_INVALID")
    device = Device()
    passkey = await finish(world, person, device.create(await begin(world, person, password=PASSWORD)))
    await assert_refused(delete(world, person, passkey.passkey_id), "REAUTHENTICATION_REQUIRED")
    for _ in range(5):
        await assert_refused(begin(world, person, password="not the password"), "CREDENTIALS_INVALID")
    await assert_refused(begin(world, person, password=PASSWORD), "TOO_MANY_ATTEMPTS")


async def test_adding_needs_all_factors_of_the_account(world: World) -> None:
    ada = await protected(world, "ada")
    # The session began with the password alone.
    await assert_refused(begin(world, ada.person), "REAUTHENTICATION_REQUIRED")
    await assert_refused(begin(world, ada.person, password=PASSWORD), "SECOND_FACTOR_REQUIRED")
    await assert_refused(
        begin(world, ada.person, password=PASSWORD, recovery_code="aaaa-aaaa-aaaa-aaaa"), "SECOND_FACTOR_INVALID"
    )
    await begin(world, ada.person, password=PASSWORD, recovery_code=ada.recovery_codes[0])
    ada.person.tokens = await ada.sign_in(totp_code=ada.code())
    await register(world, ada.person)
    await assert_refused(ada.sign_in(), "SECOND_FACTOR_REQUIRED", factors="totp_code, recovery_code, passkey")


async def test_what_does_not_fit_adds_nothing(world: World) -> None:
    person, other = await world.person("ada"), await world.person("bob")
    session = Person(person.email, person.user_id, tokens=await world.sign_in(person.email, PASSWORD))
    options = await begin(world, person)
    await assert_refused(
        finish(world, person, Device(origin="https://weft.example").create(options)), "PASSKEY_INVALID"
    )
    await assert_refused(finish(world, person, Device(verifies=False).create(options)), "PASSKEY_INVALID")
    credential = Device().create(options)
    for thief in (other, session):
        await assert_refused(finish(world, thief, credential), "PASSKEY_INVALID")
    await assert_refused(finish(world, person, changed(credential, attestationObject="AAAA")), "PASSKEY_INVALID")
    for malformed in (
        Struct(),
        changed(credential, clientDataJSON="?"),
        json_format.ParseDict({"response": 1}, Struct()),
    ):
        await assert_refused(
            finish(world, person, malformed), "REQUEST_INVALID", violations={"credential": "must be the JSON"}
        )
    assert await listed(world, person) == []
    world.clock.advance(timedelta(minutes=5))
    await assert_refused(finish(world, person, credential), "PASSKEY_INVALID")


async def test_of_one_challenge_comes_one_passkey_also_at_once(world: World) -> None:
    person = await world.person("ada")
    options = await begin(world, person)
    credentials = [Device().create(options) for _ in range(4)]
    outcomes = await asyncio.gather(*(finish(world, person, one) for one in credentials), return_exceptions=True)
    assert sum(isinstance(outcome, pb.Passkey) for outcome in outcomes) == 1
    assert len(await listed(world, person)) == 1


async def test_a_credential_belongs_to_one_user(world: World) -> None:
    person, other = await world.person("ada"), await world.person("bob")
    device, _ = await register(world, person)
    twin = Device()
    twin.soft.cred_init = lambda rp_id, handle: None  # type: ignore[method-assign]  # keeps the key that it has
    for name in ("credential_id", "private_key", "rp_id"):
        setattr(twin.soft, name, getattr(device.soft, name))
    await assert_refused(finish(world, other, twin.create(await begin(world, other))), "PASSKEY_INVALID")


async def test_a_user_has_at_most_twenty(world: World) -> None:
    person = await world.person("ada")
    options = await begin(world, person)
    for _ in range(MAX_PASSKEYS):
        await register(world, person)
    await assert_refused(begin(world, person), "PASSKEY_LIMIT_REACHED", limit="20")
    await assert_refused(finish(world, person, Device().create(options)), "PASSKEY_LIMIT_REACHED")


async def test_operators_remove_and_nobody_else_sees(world: World, operator: Person) -> None:
    person, other = await world.person("ada"), await world.person("bob")
    _, passkey = await register(world, person)
    request = pb.DeletePasskeyRequest(user_id=person.user_id, passkey_id=passkey.passkey_id)
    await assert_refused(world.users.DeletePasskey(request, metadata=other.metadata), "USER_NOT_FOUND")
    await world.users.DeletePasskey(request, metadata=operator.metadata)
    nobody = pb.ListPasskeysRequest(user_id=ids.new("usr"))
    await assert_refused(world.users.ListPasskeys(nobody, metadata=operator.metadata), "USER_NOT_FOUND")


@pytest.mark.parametrize(
    ("rpc", "request_of", "field"),
    [
        ("auth", lambda: pb.BeginPasskeyRegistrationRequest(totp_code="1"), "totp_code"),
        ("auth", lambda: pb.FinishPasskeyRegistrationRequest(), "credential"),
        (
            "auth",
            lambda: pb.FinishPasskeyRegistrationRequest(credential=Struct(), display_name="x" * 101),
            "display_name",
        ),
        ("users", lambda: pb.ListPasskeysRequest(user_id="you"), "user_id"),
        ("users", lambda: pb.UpdatePasskeyRequest(), "passkey"),
        ("users", lambda: pb.DeletePasskeyRequest(user_id="me", passkey_id="x"), "passkey_id"),
    ],
)
async def test_bad_input_names_its_field(world: World, rpc: str, request_of, field: str) -> None:
    person, request = await world.person("ada"), request_of()
    call = getattr(getattr(world, rpc), type(request).__name__.removesuffix("Request"))
    await assert_refused(call(request, metadata=person.metadata), "REQUEST_INVALID", violations={field: ""})
