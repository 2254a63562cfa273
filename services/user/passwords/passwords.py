"""Passwords: hashed with Argon2id in threads, few at a time, so that a wave of sign-ins cannot starve the rest."""

import asyncio
import contextlib
import ctypes
import functools
import os
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from chassis.errors import InvalidArgument, Overloaded

T = TypeVar("T")
_COMMON = Path(__file__).with_name("common_passwords.txt")
_DISGUISES = str.maketrans("013457@$!", "oleastasi")
_M_MMAP_THRESHOLD = -3
"""From glibc's malloc.h."""
_WAITING = 64
"""Hashes that may wait for a thread; the next caller is told to come back."""


class PasswordTooCommon(InvalidArgument):
    """The password is one of those that are tried first; choose another."""


class Passwords:
    """Hashes and verifies. Parameters: OWASP's for Argon2id, 19 MiB, two passes, one lane (about 20 ms)."""

    def __init__(self, *, memory_kib: int = 19 * 1024, passes: int = 2, threads: int = 0) -> None:
        _give_memory_back()
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1, type=Type.ID)
        self._free = asyncio.Semaphore(threads or max(2, os.cpu_count() or 1))
        self._waiting = 0
        # Verified where there is no account, so that its absence takes as long as a wrong password.
        self._nobody = self._hasher.hash(os.urandom(16))

    async def hash(self, password: str, salt: bytes = b"") -> str:
        """The encoded hash, with a salt of its own unless one is given. Raises `Overloaded` when too many wait."""
        return await self._in_thread(functools.partial(self._hasher.hash, salt=salt or None), _bytes(password))

    async def verify(self, encoded: str, password: str) -> bool:
        """Whether the password is the hash's; against an empty hash it takes as long and is not."""
        good = await self._in_thread(self._matches, encoded or self._nobody, _bytes(password))
        return good and bool(encoded)

    def outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)

    def _matches(self, encoded: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= _WAITING:
            raise Overloaded(retry_after=timedelta(seconds=1))
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1


def _give_memory_back() -> None:
    # glibc raises this threshold with each large block that is freed, and from then on keeps what was hashed in (40 MB).
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def refuse_common(password: str) -> None:
    """Raise `PasswordTooCommon` for listed ones, also in disguise (`P@ssw0rd2024!!`), and for next to no variety."""
    folded = unicodedata.normalize("NFKC", password).casefold()
    bare = folded.strip("0123456789 .,;:!?@#$%^&*()-_=+")
    candidates = {folded, bare, folded.translate(_DISGUISES), bare.translate(_DISGUISES)}
    if candidates & _common() or len(set(folded)) < 4:
        raise PasswordTooCommon()


@functools.cache
def _common() -> frozenset[str]:
    return frozenset(line for line in _COMMON.read_text().split("\n") if line and not line.startswith("#"))


def _bytes(password: str) -> bytes:
    # What looks the same is the same, however the keyboard composed it (RFC 8265, OpaqueString).
    return unicodedata.normalize("NFKC", password).encode()
