"""BatchGetUsers answers from the cache, never with what was true before a change."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from weft.user.v1 import user_pb2
from weft.user.v1.user_changes_pb2 import DeactivateUserRequest, UpdateUserRequest
from weft.user.v1.user_service_pb2 import BatchGetUsersRequest, CreateUserRequest

from chassis.storage.database import Query
from services.user.users import repository
from services.user.users.cached import CachedUsers
from services.user.users.repository import UserRepository
from tests.harness import Harness
from tests.proxy import serving
from tests.user.world import Metadata, World


@pytest.fixture
async def valkey(harness: Harness) -> AsyncIterator[Redis]:
    client = Redis.from_url(harness.valkey_url)
    yield client
    await client.aclose()


async def customer(world: World) -> tuple[user_pb2.User, Metadata]:
    """A customer of a partner's, and the partner's client."""
    operator = await world.operator()
    acme = await world.client_metadata(await world.client(operator, await world.partner(operator)))
    request = CreateUserRequest(email=world.email("ada"), display_name="Ada Kalkmark", phone="+43660123456")
    return await world.users.CreateUser(request, metadata=acme), acme


async def rename(world: World, user: user_pb2.User, acme: Metadata, name: str) -> None:
    change = UpdateUserRequest(user=user_pb2.User(user_id=user.user_id, display_name=name))
    change.update_mask.paths.append("display_name")
    await world.users.UpdateUser(change, metadata=acme)


async def found(world: World, user: user_pb2.User) -> user_pb2.User:
    (one,) = (await world.users.BatchGetUsers(BatchGetUsersRequest(user_ids=[user.user_id]))).users
    return one


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():
            pass


async def entry(valkey: Redis, user: user_pb2.User) -> bytes:
    return bytes(await valkey.get(f"user:user.{user.user_id}") or b"")


async def test_an_entry_is_sealed_and_replaced_by_a_mark_when_the_user_changes(world: World, valkey: Redis) -> None:
    user, acme = await customer(world)

    async def is_cached() -> bool:
        assert (await found(world, user)).display_name == "Ada Kalkmark"
        return len(await entry(valkey, user)) > 50

    await until(is_cached)
    stored = await entry(valkey, user)
    assert not [mark for mark in (b"Kalkmark", b"660123456", b"example.com") if mark in stored]

    await rename(world, user, acme, "Ada King")
    await until(lambda: is_mark(valkey, user))
    assert (await found(world, user)).display_name == "Ada King"
    # Who read before the change and stores after it finds the mark.
    await world.app.cache.add_many({f"user.{user.user_id}": stored}, 60)
    assert await entry(valkey, user) == b"changed"
    # Of an epoch that is over, and of another user, nothing is believed.
    for forged in (stored, b"12345678" + stored[8:], stored[:8] + b"\x01\x02k1" + stored[12:]):
        await valkey.set("user:user.usr_01k00000000000000000000000", forged)
        other = BatchGetUsersRequest(user_ids=["usr_01k00000000000000000000000"])
        assert list((await world.users.BatchGetUsers(other)).users) == []


async def is_mark(valkey: Redis, user: user_pb2.User) -> bool:
    return await entry(valkey, user) == b"changed"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET revision = revision + 1 WHERE user_id = %(id)s",
        "DELETE FROM users WHERE user_id = %(id)s",
    ],
    ids=["changed", "deleted"],
)
async def test_a_change_is_announced_whoever_makes_it(world: World, valkey: Redis, statement: str) -> None:
    user, acme = await customer(world)
    await valkey.set(f"user:user.{user.user_id}", b"of before", ex=60)
    await world.app.database.run(Query(statement), id=user.user_id)
    await until(lambda: is_mark(valkey, user))
    await valkey.set(f"user:user.{user.user_id}", b"of before", ex=60)
    if statement.startswith("UPDATE"):
        await world.users.DeactivateUser(DeactivateUserRequest(user_id=user.user_id), metadata=acme)
        await until(lambda: is_mark(valkey, user))


async def test_what_changed_while_the_cache_was_away_is_not_believed_when_it_is_back(
    world: World, harness: Harness, valkey: Redis
) -> None:
    user, acme = await customer(world)
    address = urlsplit(harness.valkey_url)
    async with serving("127.0.0.1", address.port or 0) as proxy:
        url = harness.valkey_url.replace(f":{address.port}", f":{proxy.port}")
        app = harness.app("user", world.clock, world.app.settings.database_prefix, redis_url=url)
        await app.database.open()
        replica = CachedUsers(UserRepository(app.database, app.vault), app.cache, app.vault)
        running = asyncio.create_task(replica.run())

        async def names() -> list[str]:
            return [each.display_name for each in await replica.get_many([user.user_id])]

        async def is_cached() -> bool:
            await names()
            return len(await entry(valkey, user)) > 50

        await until(is_cached)
        of_before = await entry(valkey, user)
        proxy.go_away()
        await rename(world, user, acme, "Ada King")
        replica.changed(user.user_id)
        assert await names() == ["Ada King"]
        await until(lambda: is_mark(valkey, user))  # the other replica's
        await valkey.set(f"user:user.{user.user_id}", of_before)  # as if there were none
        epoch = await valkey.get("user:users.epoch")
        proxy.away = False

        async def is_new_epoch() -> bool:
            assert await names() == ["Ada King"]
            return bool(await valkey.get("user:users.epoch") != epoch)

        await until(is_new_epoch)
        assert await names() == ["Ada King"]
        running.cancel()
        await app.close()


NOT_SHOWN = {"events", "password_hash", "token_generation", "revision"}
"""Columns of users that `to_short_message` does not show."""


def test_every_statement_that_changes_what_is_shown_counts_the_revision() -> None:
    """The trigger announces what counts the revision: a statement that does not would leave an old user in the cache."""
    found = 0
    for path in Path("services/user").rglob("*.py"):
        for statement in re.findall(r"update\(users\)(.*?)\n\)\n", path.read_text(), re.S):
            found += 1
            changed = set(re.findall(r"^\s+(\w+)=|values\((\w+)=|, (\w+)=", statement, re.M)) or {("_COLUMNS",)}
            names = {name for group in changed for name in group if name} - {"name"}
            assert names <= NOT_SHOWN or "revision" in names or names == {"_COLUMNS"}, (path, names)
        assert "UPDATE users" not in path.read_text() or "migrations" in path.parts, path
    assert found >= 9
    assert "revision" in repository._UPDATED
