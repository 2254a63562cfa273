"""Users by id for other services, from the shared cache where it has them.

A change is announced by a trigger of the table, so by whatever makes it; every replica then puts a mark in the place of
the user. A reader stores only where there is nothing: one that read before the change finds the mark and stores nothing.
Where announcements may have been missed, or the cache did not take a mark, everything in it is given up at once: entries
name an epoch, and the epoch changes.
"""

import asyncio
import secrets
from collections.abc import Sequence
from time import monotonic

from weft.user.v1 import user_pb2

from chassis.security.encryption import Vault
from chassis.storage.cache import Cache
from chassis.telemetry.logs import logger
from services.user.users.messages import to_short_message
from services.user.users.repository import UserRepository

CHANNEL = "users_changed"
"""The trigger's channel: the id of a user, once for each change."""
TTL_S = 300
"""How long an entry may be read; also the bound on its age where a cache that is cut off comes back."""
MARK_TTL_S = 15
"""How long a mark keeps readers from storing; none of them takes as long to read."""
READ_TIMEOUT_S = 5
"""What took longer to read is not stored."""
RETRY_S = 1.0
MAX_CHANGED = 10_000
"""Users that wait to be marked; of more, all are given up at once."""
_MARK = b"changed"
_EPOCH = "users.epoch"
_CONTEXT = "user.cached"
log = logger("users")


class CachedUsers:
    """Reads many users at once, for `BatchGetUsers`."""

    def __init__(self, users: UserRepository, cache: Cache, vault: Vault) -> None:
        self._users = users
        self._cache = cache
        self._vault = vault
        self._changed: set[str] = set()
        self._missed = 0
        self._wake = asyncio.Event()

    async def get_many(self, user_ids: Sequence[str]) -> list[user_pb2.User]:
        """The users that exist, in no order."""
        wanted = sorted(set(user_ids))
        # What has changed, and is not marked yet, is not read from the cache.
        asked = [] if self._missed else [user_id for user_id in wanted if user_id not in self._changed]
        epoch, *stored = await self._cache.get_many([_EPOCH, *map(_key, asked)])
        found = {
            user_id: user
            for user_id, value in zip(asked, stored, strict=True)
            if value and epoch and (user := self._open(user_id, epoch, value)) is not None
        }
        missing = [user_id for user_id in wanted if user_id not in found]
        return [*found.values(), *(await self._read(missing, epoch) if missing else ())]

    def changed(self, user_id: str) -> None:
        """A user has changed; any may have, where it names none."""
        if user_id and len(self._changed) < MAX_CHANGED:
            self._changed.add(user_id)
        else:
            self._missed += 1
        self._wake.set()

    async def run(self) -> None:
        """Mark what has changed, until cancelled. What the cache does not take is tried again until it does."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self._mark():
                asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)

    async def _mark(self) -> bool:
        """Whether nothing is left to be marked."""
        missed = self._missed
        if missed and await self._cache.set(_EPOCH, secrets.token_bytes(8), 7 * 86_400):
            self._missed -= missed  # what was missed meanwhile needs another epoch
        for user_id in list(self._changed):
            if not await self._cache.set(_key(user_id), _MARK, MARK_TTL_S):
                # An entry of before may be there when the cache is back: after that, its epoch is over.
                self._missed += 1
                return False
            self._changed.discard(user_id)
        return not self._missed

    async def _read(self, user_ids: Sequence[str], epoch: bytes | None) -> list[user_pb2.User]:
        began = monotonic()
        read = [to_short_message(user) for user in await self._users.get_many(user_ids)]
        if epoch and monotonic() - began < READ_TIMEOUT_S:
            values = {
                _key(user.user_id): epoch + self._vault.seal(user.SerializeToString(), f"{_CONTEXT}.{user.user_id}")
                for user in read
                if user.user_id not in self._changed
            }
            await self._cache.add_many(values, TTL_S)
        elif not epoch:
            await self._cache.add_many({_EPOCH: secrets.token_bytes(8)}, 7 * 86_400)
        return read

    def _open(self, user_id: str, epoch: bytes, value: bytes) -> user_pb2.User | None:
        """The user of an entry; None of a mark, of an epoch that is over, and of what we did not write for this user."""
        if not value.startswith(epoch):
            return None
        try:
            return user_pb2.User.FromString(self._vault.open(value[len(epoch) :], f"{_CONTEXT}.{user_id}"))
        except ValueError:  # by a data key that is gone, or not by us
            return None


def _key(user_id: str) -> str:
    return f"user.{user_id}"
