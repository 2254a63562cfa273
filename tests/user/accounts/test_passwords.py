"""Passwords: which are too common, and how many are hashed at once."""

import asyncio
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


async def test_a_wave_is_told_to_come_back() -> None:
    hasher = Passwords(memory_kib=64, passes=1, threads=1)
    answers = await asyncio.gather(
        *(hasher.verify("", "word") for _ in range(passwords._WAITING + 10)), return_exceptions=True
    )
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 10
    assert answers.count(False) == passwords._WAITING
    assert await hasher.verify(await hasher.hash("word"), "word")
