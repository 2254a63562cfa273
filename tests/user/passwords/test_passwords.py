"""Passwords: which are too common, and how many are hashed concurrently."""

import asyncio
import subprocess
import sys
import threading

import pytest

from chassis.errors import Overloaded, RequestInvalid
from services.user.passwords import passwords, rules
from services.user.passwords.passwords import Passwords
from services.user.passwords.rules import PasswordTooCommon, refuse_weak

COMMON = [
    "password 2024",
    "PASSWORD1234",
    "p4ssw0rd!2024",
    "123456789012",
    "abcabcabcabc",
    "  letmein 12345",
    "ｐａｓｓｗｏｒｄ１２３４",
    # Of breaches alone:
    "correcthorsebatterystaple",
    "CorrectHorseBatteryStaple",
    "!alfonso921!",
    "Basketball12345",
    # The owner's own:
    "Ada.Lovelace@example.com",
    "ada.lovelace1843!",
    "Ada Byron-King",
]
FINE = [
    "a quiet morning in Graz",
    "correct-horse-battery",
    "passwords are a nuisance",
    "8273645182736",  # without its digits nothing is left, and a name may be empty
    "\U0001f600\U0001f601\U0001f602\U0001f603" * 3,
    "Tr0ub4dor&3 and more",
    "密码密码密码很好记住它吧",
]
NAMES = ("ada.lovelace@example.com", "Ada Byron-King", "")


@pytest.mark.parametrize("password", COMMON)
def test_common_ones_are_refused_also_in_disguise(password: str) -> None:
    with pytest.raises(PasswordTooCommon) as caught:
        refuse_weak(password, "new_password", NAMES)
    assert [field for field, _ in caught.value.violations] == ["new_password"]


@pytest.mark.parametrize("password", FINE)
def test_others_are_not(password: str) -> None:
    refuse_weak(password, "new_password", NAMES)


@pytest.mark.parametrize("password", ["eleven char", "e\u0301" * 8 + "abc"])
def test_characters_are_counted_as_they_are_hashed(password: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        refuse_weak(password, "new_password")
    assert caught.value.violations == (("new_password", "must have at least 12 characters"),)


async def test_spaces_and_letters_that_look_the_same_are_the_same() -> None:
    hasher = Passwords(memory_kib=64, passes=1)
    encoded = await hasher.hash("ein cafe\u0301 in Graz")
    for same in ("ein\u00a0caf\u00e9\u3000in\u1680Graz", "ein caf\u00e9 in Graz"):
        assert await hasher.verify(encoded, same)
    assert not await hasher.verify(encoded, "ein caf\u00e9 in graz")


async def test_a_hash_is_argon2id_and_salted() -> None:
    hasher = Passwords(memory_kib=64, passes=1)
    first, second = await hasher.hash("a word"), await hasher.hash("a word")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await hasher.verify(first, "a word")
    assert not await hasher.verify(first, "another")
    assert not await hasher.verify("", "a word")
    assert not await hasher.verify("nonsense", "a word")
    assert hasher.outdated(first) is False
    assert Passwords(memory_kib=128, passes=1).outdated(first) is True


async def test_no_more_hashes_run_than_there_are_threads(monkeypatch) -> None:
    hasher = Passwords(memory_kib=64, passes=1, threads=2)
    running, most, lock = 0, 0, threading.Lock()

    def counted(encoded: str, password: bytes) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        found = Passwords._matches(hasher, encoded, password)
        with lock:
            running -= 1
        return found

    monkeypatch.setattr(hasher, "_matches", counted)
    await asyncio.gather(*(hasher.verify("", "word") for _ in range(20)))
    assert 1 <= most <= 2


async def test_a_burst_is_refused_as_overload() -> None:
    hasher = Passwords(memory_kib=64, passes=1, threads=1)
    answers = await asyncio.gather(
        *(hasher.verify("", "word") for _ in range(passwords._MAX_WAITING + 10)), return_exceptions=True
    )
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 10
    assert answers.count(False) == passwords._MAX_WAITING
    assert await hasher.verify(await hasher.hash("word"), "word")


_SHORT_OF_MEMORY = """
import asyncio, resource
from chassis.errors import Overloaded
from services.user.passwords.passwords import Passwords

async def outcome(work):
    try:
        return await work
    except Overloaded as error:
        return type(error).__name__, error.retry_after.total_seconds()

async def main():
    hasher = Passwords(memory_kib=64, passes=1)
    encoded = await hasher.hash("word")
    greedy = Passwords(memory_kib=2**18, passes=1)
    print(await hasher.verify(encoded, "word"))
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, resource.RLIM_INFINITY))
    print(await outcome(greedy.verify(encoded.replace("m=64", f"m={2**18}"), "word")))
    print(await outcome(greedy.hash("word")))
    print(await hasher.verify(encoded, "word"), await hasher.verify(encoded, "another"))

asyncio.run(main())
"""


async def test_a_shortage_of_memory_is_an_overload_and_no_wrong_password() -> None:
    # A limit of its own needs a process of its own.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SHORT_OF_MEMORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert out.decode().splitlines() == ["True", "('Overloaded', 1.0)", "('Overloaded', 1.0)", "True False"], (
        err.decode()
    )


def test_the_list_of_breached_passwords_is_large() -> None:
    assert len(rules._breached()) > 1_000_000
