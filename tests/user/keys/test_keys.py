"""Signing keys: published before they sign and until their last token has expired."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from weft.user.v1.oauth_service_pb2 import GetJwksRequest
from weft.user.v1.user_service_pb2 import GetUserRequest

from services.user.keys import domain, ring
from services.user.keys.domain import PUBLISH_LEAD, RETIRE_DELAY, SIGNING_PERIOD, SigningKey
from tests.user.world import World

T0 = datetime(2026, 11, 1, tzinfo=UTC)
OLD, NEW = SigningKey("old", "{}", T0), SigningKey("new", "{}", T0 + SIGNING_PERIOD)


def test_the_first_key_signs_immediately() -> None:
    assert domain.next_start([], T0) == T0


def test_the_next_key_is_made_before_its_time() -> None:
    assert domain.next_start([OLD], T0 + SIGNING_PERIOD - PUBLISH_LEAD - timedelta(seconds=1)) is None
    assert domain.next_start([OLD], T0 + SIGNING_PERIOD - PUBLISH_LEAD) == T0 + SIGNING_PERIOD
    assert domain.next_start([OLD, NEW], T0 + SIGNING_PERIOD) is None


def test_a_key_that_is_late_is_still_published_before_it_signs() -> None:
    late = T0 + 3 * SIGNING_PERIOD
    assert domain.next_start([OLD], late) == late + PUBLISH_LEAD
    assert domain.signer([OLD], late) == OLD


def test_a_clock_that_is_set_back_before_the_first_key_does_not_stop_signing() -> None:
    before = T0 - timedelta(seconds=1)
    assert domain.signer([OLD], before) == OLD
    assert domain.signer([NEW, OLD], before) == OLD


async def test_tokens_are_signed_after_the_clock_is_set_back(world: World) -> None:
    person = await world.registered("ada")
    await kids(world)
    world.clock.advance(timedelta(minutes=-5))
    tokens = await world.sign_in(person.email, person.password)
    assert [header_of(tokens.access_token)["kid"]] == await kids(world)


def test_the_newest_key_whose_time_has_come_signs() -> None:
    assert domain.signer([OLD, NEW], T0 + SIGNING_PERIOD - timedelta(seconds=1)) == OLD
    assert domain.signer([NEW, OLD], T0 + SIGNING_PERIOD) == NEW


def test_a_key_is_published_until_its_last_token_has_expired() -> None:
    assert domain.retired([OLD, NEW], T0 + SIGNING_PERIOD + RETIRE_DELAY - timedelta(seconds=1)) == []
    assert domain.retired([OLD, NEW], T0 + SIGNING_PERIOD + RETIRE_DELAY) == [OLD]
    assert domain.retired([OLD], T0 + 9 * SIGNING_PERIOD) == []


async def kids(world: World) -> list[str]:
    reply = await world.oauth.GetJwks(GetJwksRequest())
    return [key["kid"] for key in json.loads(reply.data)["keys"]]


async def test_keys_rotate_with_overlap_and_no_token_breaks(world: World) -> None:
    keys = ring.of_app(world.app)
    await keys.rotate()
    (first,) = await kids(world)
    world.clock.advance(SIGNING_PERIOD - PUBLISH_LEAD)
    await keys.rotate()
    stored = [row.kid for row in await world.rows("SELECT kid FROM signing_keys ORDER BY signs_from")]
    assert stored[0] == first
    assert len(stored) == 2
    assert json.loads(await keys.published())["keys"][1]["kid"] == stored[1]

    before = await keys.sign({"sub": "x"})
    world.clock.advance(PUBLISH_LEAD)
    after = await keys.sign({"sub": "x"})
    assert [header_of(token)["kid"] for token in (before, after)] == stored
    world.clock.advance(RETIRE_DELAY)
    await keys.rotate()
    assert [key["kid"] for key in json.loads(await keys.published())["keys"]] == stored[1:]


def header_of(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_a_replica_learns_of_a_rotation(world: World, monkeypatch) -> None:
    one, two = (ring.of_app(world.app) for _ in range(2))
    assert await one.published() == await two.published()
    world.clock.advance(SIGNING_PERIOD - PUBLISH_LEAD)
    await one.rotate()
    monkeypatch.setattr(ring, "CACHE_TTL_S", 0.0)
    assert await two.published() == await one.published()


async def test_replicas_that_start_concurrently_make_one_key(world: World) -> None:
    rings = [ring.of_app(world.app) for _ in range(8)]
    published = await asyncio.gather(*(each.published() for each in rings))
    assert len(set(published)) == 1
    assert len(json.loads(published[0])["keys"]) == 1


async def test_the_private_half_is_encrypted(world: World) -> None:
    await world.person("ada")
    stored = str(await world.rows("SELECT signing_keys::text FROM signing_keys"))
    assert b'"d":'.hex() not in stored


async def test_the_service_accepts_what_it_issues(world: World) -> None:
    person = await world.person("ada")
    assert header_of(person.tokens.access_token)["typ"] == "at+jwt"
    assert (await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)).user_id == person.user_id
