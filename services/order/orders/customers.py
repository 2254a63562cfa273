"""The customer of an order: who buys, and whether the caller may order for them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from weft.user.v1.user_pb2 import USER_STATE_ACTIVE, User
from weft_client import errors as client_errors
from weft_internal import InternalWeft

from chassis.errors import ServiceUnavailable
from chassis.security import modes
from chassis.security.identity import Identity
from chassis.storage.batching import BatchQueue
from chassis.ttl_cache import TtlCache
from services.order.domain.refusals import CustomerNotFound, CustomerRequired

Owner = tuple[str, str]
"""The partner of a user, and the mode."""
CACHE_TTL_S = 30.0
"""How long an active customer is cached."""
MAX_CACHED_CUSTOMERS = 10_000
MAX_WAIT_S = 0.1
"""For a call with others; then a customer is asked for alone."""
MAX_ASKED = 100
"""Of whom the user service is asked in one call."""


class Customers:
    """Asks the user service for the partner of a customer. Only active customers are cached: a new one is found immediately.

    Those of concurrent calls are asked for together, in a call with a trace and a request id of its own. Who finds nobody asking asks alone.
    """

    def __init__(self, clients: InternalWeft) -> None:
        self._clients = clients
        self._owners: TtlCache[str, Owner] = TtlCache(CACHE_TTL_S, MAX_CACHED_CUSTOMERS)
        self._batches: BatchQueue[str, Owner | None] = BatchQueue(self._ask, (), MAX_ASKED)
        self._asking = 0

    async def resolve(self, caller: Identity, customer_id: str) -> str:
        """The user who buys. Raises `CustomerRequired`, `CustomerNotFound`, or `ServiceUnavailable` if the user service fails."""
        if not caller.is_partner:
            if customer_id in ("", "me", caller.user_id):
                return caller.user_id
            raise CustomerNotFound(customer_id=customer_id)
        if not customer_id:
            raise CustomerRequired()
        if customer_id == "me" or not caller.partner_id:
            raise CustomerNotFound(customer_id=customer_id)
        if await self._owner_of(customer_id) != (caller.partner_id, caller.mode):
            raise CustomerNotFound(customer_id=customer_id)
        return customer_id

    async def _owner_of(self, user_id: str) -> Owner | None:
        """The partner and the mode of an active user; None if there is no such user."""
        cached = self._owners.get(user_id)
        if cached is not None:
            return cached
        if self._asking:
            # No longer: a replica that hangs would hold up whoever waits for a batch.
            with suppress(TimeoutError):
                async with asyncio.timeout(MAX_WAIT_S):
                    return await self._batches.put(user_id)
        (owner,) = await self._ask([user_id])
        return owner

    async def _ask(self, user_ids: Sequence[str]) -> list[Owner | None]:
        self._asking += 1
        try:
            reply = await self._clients.users.batch_get_users(user_ids=sorted(set(user_ids)))
        except client_errors.WeftError as error:
            raise ServiceUnavailable() from error
        finally:
            self._asking -= 1
        found = {user.user_id: owner for user in reply.users if (owner := _owner(user)) is not None}
        self._owners.put_all({user_id: found[user_id] for user_id in found.keys() & set(user_ids)})
        return [found.get(user_id) for user_id in user_ids]


def _owner(user: User) -> Owner | None:
    """None of a user who may not buy, or whose mode is one of a later release."""
    with suppress(ValueError):
        if user.state == USER_STATE_ACTIVE:
            return user.partner_id, modes.of_message(user.mode)
    return None
