"""Passwords: hashed with Argon2id in a few threads, so that a burst of sign-ins cannot starve other calls."""

import asyncio
import contextlib
import ctypes
import functools
import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError, VerificationError
from argon2.low_level import error_to_str

from chassis.errors import Overloaded
from chassis.values.plain_text import composed

T = TypeVar("T")
MEMORY_KIB, PASSES = 19 * 1024, 2
"""OWASP's parameters for Argon2id, with one lane: about 20 ms."""
_M_MMAP_THRESHOLD = -3
"""From glibc's malloc.h."""
_MAX_WAITING = 64
"""Hashes that may wait for a thread; above that, calls are refused as `Overloaded`."""
_RETRY_AFTER = timedelta(seconds=1)
_OUT_OF_RESOURCES = {error_to_str(-22), error_to_str(-33)}
"""ARGON2_MEMORY_ALLOCATION_ERROR and ARGON2_THREAD_FAIL of argon2.h; the exceptions carry only the text."""


class Passwords:
    """Hashes and verifies."""

    def __init__(self, *, memory_kib: int = 0, passes: int = 0, threads: int = 0) -> None:
        _return_freed_memory()
        self._hasher = PasswordHasher(
            time_cost=passes or PASSES, memory_cost=memory_kib or MEMORY_KIB, parallelism=1, type=Type.ID
        )
        self._free = asyncio.Semaphore(threads or max(2, os.cpu_count() or 1))
        self._waiting = 0
        # Verified if there is no account, so that this takes as long as a wrong password.
        self._no_account = self._hasher.hash(os.urandom(16))

    async def hash(self, password: str, salt: bytes = b"") -> str:
        """The encoded hash, with a random salt unless one is given. Raises `Overloaded` if too many calls wait or memory is short."""
        return await self._in_thread(functools.partial(self._hasher.hash, salt=salt or None), _bytes(password))

    async def verify(self, encoded: str, password: str) -> bool:
        """Whether the password has this hash; an empty hash matches none, and takes as long. Raises `Overloaded` like `hash`."""
        correct = await self._in_thread(self._matches, encoded or self._no_account, _bytes(password))
        return correct and bool(encoded)

    def outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other than the current parameters."""
        return self._hasher.check_needs_rehash(encoded)

    def _matches(self, encoded: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError) as error:
            if str(error) in _OUT_OF_RESOURCES:
                raise
            return False

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= _MAX_WAITING:
            raise Overloaded(retry_after=_RETRY_AFTER)
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work, *arguments)
        except Argon2Error as error:
            if str(error) in _OUT_OF_RESOURCES:
                raise Overloaded(retry_after=_RETRY_AFTER) from error
            raise
        finally:
            self._waiting -= 1


def _return_freed_memory() -> None:
    # glibc raises this threshold with each large block that is freed, and from then on does not return the 40 MB that
    # hashing used.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def _bytes(password: str) -> bytes:
    # Passwords that look the same are the same, regardless of how the keyboard composed them (RFC 8265, OpaqueString).
    return composed(password).encode()
