"""The owner is told of a sign-in from a new device or network, and of nothing else."""

import asyncio
from datetime import timedelta

import pytest
from weft.user.v1.auth_service_pb2 import SignInRequest, TokenPair
from weft.user.v1.security_events_pb2 import SignedInFromNewDevice

from services.user.devices.domain import MAX_DEVICES, family
from tests.harness import assert_refused
from tests.user.passkeys.authenticator import challenged, present, register
from tests.user.world import Person, World

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
HOME, NEXT_DOOR, AWAY = "192.0.2.7", "192.0.2.200", "198.51.100.9"


async def sign_in(world: World, person: Person, address: str = HOME) -> TokenPair:
    return await world.sign_in(person.email, person.password, address)


async def told(world: World) -> list[str]:
    """The devices that owners were told of."""
    payload, found = SignedInFromNewDevice(), []
    for event in await world.events():
        if event.payload.Unpack(payload):
            assert event.user_id == payload.user_id
            assert AWAY not in str(event)
            found.append(payload.device)
    return found


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "Firefox on Windows"),
        (FIREFOX.replace("145", "146"), "Firefox on Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
            "Chrome on macOS",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36 Edg/142.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1",
            "Safari on iOS",
        ),
        ("click https://evil.example now", "a program"),
        ("", "a program"),
    ],
)
def test_a_device_has_a_name_of_our_words(user_agent: str, device: str) -> None:
    assert family(user_agent) == device


async def test_the_first_sign_in_and_known_places_are_no_news(world: World) -> None:
    person = await world.registered("ada")
    for address in (HOME, HOME, NEXT_DOOR):
        await sign_in(world, person, address)
    assert await told(world) == []
    await sign_in(world, person, AWAY)
    await sign_in(world, person, AWAY)
    assert len(await told(world)) == 1
    # Another person's devices say nothing about one's own.
    await sign_in(world, await world.registered("bob"), AWAY)
    assert len(await told(world)) == 1


async def test_at_once_an_owner_is_told_once(world: World) -> None:
    person = await world.registered("ada")
    await sign_in(world, person)
    await asyncio.gather(*(sign_in(world, person, AWAY) for _ in range(8)))
    assert len(await told(world)) == 1


async def test_wrong_passwords_are_no_news_and_passkeys_are(world: World) -> None:
    person = await world.person("ada")
    device, _ = await register(world, person)
    request = SignInRequest(email=person.email, password="not the password")
    await assert_refused(world.auth.SignIn(request, metadata=world.at(AWAY)), "CREDENTIALS_INVALID")
    assert await told(world) == []
    await present(world, device.get(await challenged(world)), AWAY)
    assert len(await told(world)) == 1


async def test_devices_are_forgotten_at_last_and_an_old_account_is_never_new(world: World) -> None:
    person = await world.registered("ada")
    for number in range(MAX_DEVICES + 3):
        await sign_in(world, person, f"10.0.{number}.1")
        world.clock.advance(timedelta(seconds=1))
    assert len(await world.rows("SELECT 1 FROM known_devices")) == MAX_DEVICES
    world.clock.advance(timedelta(days=400, seconds=1))
    sweep = next(job for _, job, name in world.app._jobs if name == "retention")
    await sweep()
    assert await world.rows("SELECT 1 FROM known_devices") == []
    before = len(await told(world))
    await sign_in(world, person)
    assert len(await told(world)) == before + 1


async def test_no_address_and_no_user_agent_is_stored(world: World) -> None:
    person = await world.registered("ada")
    await sign_in(world, person, AWAY)
    everything = str(await world.rows("SELECT known_devices::text FROM known_devices")).lower()
    for mark in (AWAY, "198.51.100", "program", AWAY.encode().hex()):
        assert mark not in everything
