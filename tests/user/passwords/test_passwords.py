"""Passwords: which are too common, and how many are hashed concurrently."""

import asyncio
import subprocess
import sys
import threading

import pytest

from chassis.errors import Overloaded
from services.user.passwords import passwords
from services.user.passwords.passwords import Passwords, PasswordTooCommon, refuse_common

COMMON = [
    "password",
    "PASSWORD1234",
    "p4ssw0rd!2024",
    "123456789012",
    "abcabcabcabc",
    "  letmein 12345",
    "ｐａｓｓｗｏｒｄ１２３",
]
FINE = [
    "a quiet morning in Graz",
    "correct-horse-battery",
    "passwords are a nuisance",
    "Tr0ub4dor&3 and more",
    "密码密码密码很好记住它吧",
]


@pytest.mark.parametrize("password", COMMON)
def test_common_ones_are_refused_also_in_disguise(password: str) -> None:
    with pytest.raises(PasswordTooCommon):
        refuse_common(password)


@pytest.mark.parametrize("password", FINE)
def test_others_are_not(password: str) -> None:
    refuse_common(password)


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
    assert Passwords().outdated(first) is True


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
