"""A new password for who knows the present one: every other session ends, and guesses back off."""

import asyncio

from argon2 import PasswordHasher
from weft.user.v1.auth_service_pb2 import RefreshRequest, TokenPair

from services.user.passwords import passwords
from services.user.passwords.passwords import Passwords
from tests.harness import assert_refused
from tests.user.accounts.calls import elsewhere
from tests.user.password_changes.calls import NEW, change, requested, reset
from tests.user.world import PASSWORD, World


async def refresh(world: World, tokens: TokenPair) -> TokenPair:
    return await world.auth.Refresh(RefreshRequest(refresh_token=tokens.refresh_token))


async def test_a_change_ends_every_session_but_the_callers(world: World) -> None:
    person = await world.person("ada")
    other = await world.sign_in(person.email, PASSWORD)
    code = await requested(world, person.email)
    await change(world, person)

    await assert_refused(refresh(world, other), "REFRESH_TOKEN_INVALID")
    await refresh(world, person.tokens)
    await assert_refused(reset(world, person.email, code), "CODE_INVALID")
    await assert_refused(world.sign_in(person.email, PASSWORD), "CREDENTIALS_INVALID")
    await world.sign_in(person.email, NEW)
    assert (await world.emitted())[-1] == ("user.password_changed", person.user_id, 2)
    rows = await world.rows("SELECT actor, fields FROM audit_events WHERE action = 'password.changed'")
    assert [tuple(row) for row in rows] == [(person.user_id, ["password"])]


async def test_guesses_of_the_present_password_add_up_with_those_of_sign_in(world: World) -> None:
    person = await world.person("ada")
    for _ in range(3):
        await assert_refused(change(world, person, "not the password"), "CREDENTIALS_INVALID")
    for _ in range(2):
        await assert_refused(world.sign_in(person.email, "not the password"), "CREDENTIALS_INVALID")
    await assert_refused(change(world, person), "TOO_MANY_ATTEMPTS")


async def test_of_two_concurrent_changes_one_wins(world: World) -> None:
    person = await world.person("ada")
    news = ["the third morning in Graz", "the fourth morning in Graz"]
    answers = await asyncio.gather(*(change(world, person, new=new) for new in news), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    await world.sign_in(person.email, news[answers.index(None)])


async def test_one_s_own_address_is_no_password(world: World) -> None:
    person = await world.person("ada")
    await assert_refused(
        change(world, person, new=f"{person.email}123"),
        "PASSWORD_TOO_COMMON",
        violations={"new_password": "easily guessed"},
    )


async def test_a_sign_in_that_verified_the_former_password_opens_no_session(world: World, monkeypatch) -> None:
    person = await world.person("ada")
    verify = Passwords.verify
    changed = asyncio.Event()

    async def late(self: Passwords, encoded: str, password: str) -> bool:
        correct = await verify(self, encoded, password)
        if not changed.is_set():
            changed.set()
            await change(world, person, address=elsewhere())  # attempts from one network run one after the other
        return correct

    monkeypatch.setattr(Passwords, "verify", late)
    await assert_refused(world.sign_in(person.email, PASSWORD), "CREDENTIALS_INVALID")
    assert len(await world.rows("SELECT 1 FROM sessions WHERE ended_at IS NULL")) == 1


async def test_sign_in_renews_a_hash_of_other_parameters_and_never_overwrites_a_new_password(
    world: World, monkeypatch
) -> None:
    person = await world.person("ada")
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await world.rows("UPDATE users SET password_hash = %(old)s RETURNING 1", old=old)
    await asyncio.gather(*(world.sign_in(person.email, PASSWORD) for _ in range(3)))
    (row,) = await world.rows("SELECT password_hash FROM users")
    assert row.password_hash.startswith(f"$argon2id$v=19$m={passwords.MEMORY_KIB},t={passwords.PASSES},p=1$")

    await world.rows("UPDATE users SET password_hash = %(old)s RETURNING 1", old=old)
    hash_ = Passwords.hash

    async def late(self: Passwords, password: str, salt: bytes = b"") -> str:
        hashed = await hash_(self, password, salt)
        if password == PASSWORD:
            await change(world, person)
        return hashed

    monkeypatch.setattr(Passwords, "hash", late)
    await assert_refused(world.sign_in(person.email, PASSWORD), "CREDENTIALS_INVALID")
    monkeypatch.undo()
    await world.sign_in(person.email, NEW)
