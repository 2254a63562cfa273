"""A command re-encrypts everything with the current data key while the service runs."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from weft.user.v1.user_changes_pb2 import UpdateUserRequest
from weft.user.v1.user_pb2 import User
from weft.user.v1.user_service_pb2 import CreateUserRequest, GetUserRequest

from chassis.app import App
from chassis.security import sealed
from chassis.storage import reencryption
from chassis.storage.database import Query
from chassis.storage.reencryption import TablePass, ValuesUnreadable, reencrypt
from services.user.users.tables import users
from tests.harness import DATA_KEY, Harness
from tests.user.conftest import Start
from tests.user.users.calls import shop
from tests.user.world import Person, World

KEYS = {name: base64.b64encode(name[:1].encode() * 32).decode() for name in ("root", "k2", "x3")}
OLD = {"data_keys": KEYS, "encrypt_with": "k2"}
"""Of a replica that knows the next key, and does not encrypt with it yet."""


@pytest.fixture
async def old(start: Start) -> AsyncIterator[World]:
    async with start(**OLD) as world:
        yield world


@pytest.fixture
async def operator_of(harness: Harness, old: World) -> AsyncIterator[App]:
    """What the command runs in, with the newest key."""
    app = harness.app("user", old.clock, old.app.settings.database_prefix, data_keys=KEYS)
    await app.database.open()
    yield app
    await app.database.close()


async def said(app: App, change: bool = True) -> list[str]:
    return [line async for line in reencrypt(app.database, app.vault, app.metadata, change)]


async def keys_in_use(world: World) -> dict[str, set[str]]:
    """The key ids in each encrypted column that has values."""
    found = {}
    for table, columns in sealed.tables(world.app.metadata):
        for name in columns:
            rows = await world.rows(f"SELECT {name} AS value FROM {table.name} WHERE {name} IS NOT NULL")
            if rows:
                found[f"{table.name}.{name}"] = {world.app.vault.key_of(row.value) for row in rows}
    return found


async def rename(world: World, person: Person, name: str) -> None:
    request = UpdateUserRequest(user=User(user_id="me", display_name=name))
    request.update_mask.paths.append("display_name")
    await world.users.UpdateUser(request, metadata=person.metadata)


async def name_of(world: World, person: Person) -> str:
    return (await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)).display_name


async def test_everything_is_encrypted_anew_under_concurrent_writes_and_the_old_key_may_go(
    start: Start, old: World, operator_of: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencryption, "BATCH_ROWS", 20)  # the flows write fewer at a time
    people = [await old.person(name) for name in ("ada", "bob", "cyd", "dan", "eve")]
    await old.sign_up("fay")
    before = await keys_in_use(old)
    assert {key for found in before.values() for key in found} == {"k2"}
    assert {"users.email_sealed", "sessions.place_sealed", "audit_events.address_sealed", "signing_keys.private_sealed",
            "sign_ups.email_sealed"} <= set(before)  # fmt: skip

    prefix = old.app.settings.database_prefix
    async with start(prefix=prefix, data_keys=KEYS) as new:
        stop, last = asyncio.Event(), {}

        async def change(world: World, person: Person, n: int = 0) -> None:
            while not stop.is_set():
                n += 1
                last[person.user_id] = f"{person.user_id} {n}"
                await rename(world, person, last[person.user_id])
                assert await name_of(old if world is new else new, person) == last[person.user_id]

        flows = [
            asyncio.create_task(change(world, person)) for world, person in zip((old, new, old), people, strict=False)
        ]
        for _ in range(3):
            await said(operator_of)
        assert not any(flow.done() for flow in flows)
        stop.set()
        await asyncio.gather(*flows)
        assert [await name_of(old, each) for each in people[:3]] == [last[each.user_id] for each in people[:3]]

        lines = await said(operator_of)  # the old replica has stopped writing
        assert "k2 encrypts nothing: once no process encrypts with it, remove it from WEFT_DATA_KEYS." in lines
        assert "root encrypts nothing. It stays in WEFT_DATA_KEYS, as the first: look-ups are derived from it." in lines
        assert await keys_in_use(old) == {column: {"x3"} for column in before}

    left = {name: key for name, key in KEYS.items() if name != "k2"}
    async with start(prefix=prefix, data_keys=left) as after:
        for person in people:
            person.tokens = await after.sign_in(person.email, person.password)  # look-ups find them as before
            assert await name_of(after, person) == last.get(person.user_id, await name_of(after, person))


async def test_what_was_done_before_the_command_was_killed_is_not_done_again(
    old: World, operator_of: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencryption, "BATCH_ROWS", 1)
    for name in ("ada", "bob", "cyd"):
        await old.person(name)
    killed = TablePass(operator_of.database, operator_of.vault, users, sealed.columns(users)).run(change=True)
    await anext(killed)
    await killed.aclose()
    assert (await keys_in_use(old))["users.email_sealed"] == {"k2", "x3"}
    counted = await said(operator_of, change=False)
    assert any(line.startswith("k2 is needed: ") and "4 in users" in line for line in counted)
    assert "users: 4 of 6 values encrypted again with x3" in await said(operator_of)


async def test_a_row_that_is_locked_or_was_changed_since_it_was_read_is_left_alone(
    old: World, operator_of: App
) -> None:
    person = await old.person("ada")
    ada = Query("SELECT * FROM users WHERE user_id = %(id)s FOR UPDATE")
    work = TablePass(operator_of.database, operator_of.vault, users, sealed.columns(users))
    async with old.app.database.transaction() as tx:
        await tx.first(ada, id=person.user_id)
        async with asyncio.timeout(2):  # a lock would be waited for longer
            (found,) = [each async for each in work.run(change=True)]
        assert (found.changed, found.missed, found.by_key["k2"]) == (0, 2, 2)

    stale = await old.rows("SELECT * FROM users")
    await rename(old, person, "Countess")
    found = reencryption.Found()
    await work._change([("k2", stale[0])], "display_name_sealed", "user.display_name", found)
    assert (found.changed, found.missed) == (0, 1)
    assert await name_of(old, person) == "Countess"


async def test_values_without_their_key_are_named_and_the_others_are_done(harness: Harness, old: World) -> None:
    await old.person("ada")
    left = {name: key for name, key in KEYS.items() if name != "k2"}
    app = harness.app("user", old.clock, old.app.settings.database_prefix, data_keys=left)
    await app.database.open()
    await old.app.database.run(Query("UPDATE audit_events SET address_sealed = 'x' WHERE address_sealed IS NOT NULL"))
    with pytest.raises(ValuesUnreadable, match=r"in audit_events are damaged; .*2 in users need the key 'k2'"):
        await said(app)
    await app.database.close()


async def test_stored_replies_are_encrypted_anew_too(start: Start, world: World) -> None:
    request = CreateUserRequest(email=world.email("ada"), display_name="Ada")
    metadata = [*await shop(world), ("idempotency-key", "once")]
    created = await world.users.CreateUser(request, metadata=metadata)
    prefix = world.app.settings.database_prefix
    async with start(prefix=prefix, data_keys={"k1": DATA_KEY, "x3": KEYS["x3"]}) as both:
        await said(both.app)
        assert (await keys_in_use(both))["idempotency.reply"] == {"x3"}
        assert await both.users.CreateUser(request, metadata=metadata) == created
