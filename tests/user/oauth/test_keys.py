"""Signing keys: published before they sign and until their last token has ended."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from weft.user.v1.oauth_service_pb2 import GetJwksRequest
from weft.user.v1.user_service_pb2 import GetUserRequest

from services.user.keys import domain, ring
from services.user.keys.domain import LEAD, PERIOD, TAIL, SigningKey
from services.user.keys.repository import KeyRepository
from services.user.keys.ring import KeyRing
from tests.user.world import World

T0 = datetime(2026, 11, 1, tzinfo=UTC)
OLD, NEW = SigningKey("old", "{}", T0), SigningKey("new", "{}", T0 + PERIOD)


def test_the_first_key_signs_at_once() -> None:
    assert domain.next_start([], T0) == T0


def test_the_next_key_is_made_before_its_time() -> None:
    assert domain.next_start([OLD], T0 + PERIOD - LEAD - timedelta(seconds=1)) is None
    assert domain.next_start([OLD], T0 + PERIOD - LEAD) == T0 + PERIOD
    assert domain.next_start([OLD, NEW], T0 + PERIOD) is None


def test_a_key_that_is_late_is_still_published_before_it_signs() -> None:
    late = T0 + 3 * PERIOD
    assert domain.next_start([OLD], late) == late + LEAD
    assert domain.signer([OLD], late) == OLD


def test_the_newest_key_whose_time_has_come_signs() -> None:
    assert domain.signer([OLD, NEW], T0 + PERIOD - timedelta(seconds=1)) == OLD
    assert domain.signer([NEW, OLD], T0 + PERIOD) == NEW


def test_a_key_is_kept_until_its_last_token_has_ended() -> None:
    assert domain.retired([OLD, NEW], T0 + PERIOD + TAIL - timedelta(seconds=1)) == []
    assert domain.retired([OLD, NEW], T0 + PERIOD + TAIL) == [OLD]
    assert domain.retired([OLD], T0 + 9 * PERIOD) == []


async def kids(world: World) -> list[str]:
    reply = await world.oauth.GetJwks(GetJwksRequest())
    return [key["kid"] for key in json.loads(reply.data)["keys"]]


async def test_keys_rotate_with_overlap_and_no_token_breaks(world: World) -> None:
    keys = KeyRing(world.app.database, KeyRepository(world.app.database, world.app.vault), world.clock)
    await keys.rotate()
    (first,) = await kids(world)
    world.clock.advance(PERIOD - LEAD)
    await keys.rotate()
    held = [row.kid for row in await world.rows("SELECT kid FROM signing_keys ORDER BY signs_from")]
    assert held[0] == first
    assert len(held) == 2
    assert json.loads(await keys.published())["keys"][1]["kid"] == held[1]

    before = await keys.sign({"sub": "x"})
    world.clock.advance(LEAD)
    after = await keys.sign({"sub": "x"})
    assert [header_of(token)["kid"] for token in (before, after)] == held
    world.clock.advance(TAIL)
    await keys.rotate()
    assert [key["kid"] for key in json.loads(await keys.published())["keys"]] == held[1:]


def header_of(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_a_replica_learns_of_a_rotation(world: World, monkeypatch) -> None:
    repository = KeyRepository(world.app.database, world.app.vault)
    one, two = (KeyRing(world.app.database, repository, world.clock) for _ in range(2))
    assert await one.published() == await two.published()
    world.clock.advance(PERIOD - LEAD)
    await one.rotate()
    monkeypatch.setattr(ring, "FRESH", 0.0)
    assert await two.published() == await one.published()


async def test_replicas_that_start_at_once_make_one_key(world: World) -> None:
    repository = KeyRepository(world.app.database, world.app.vault)
    rings = [KeyRing(world.app.database, repository, world.clock) for _ in range(8)]
    published = await asyncio.gather(*(each.published() for each in rings))
    assert len(set(published)) == 1
    assert len(json.loads(published[0])["keys"]) == 1


async def test_the_private_half_is_sealed(world: World) -> None:
    await world.person("ada")
    kept = str(await world.rows("SELECT signing_keys::text FROM signing_keys"))
    assert b'"d":'.hex() not in kept


async def test_the_service_accepts_what_it_issues(world: World) -> None:
    person = await world.person("ada")
    assert header_of(person.tokens.access_token)["typ"] == "at+jwt"
    assert (await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)).user_id == person.user_id
