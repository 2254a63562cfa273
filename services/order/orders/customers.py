"""The customer of an order: who buys, and whether the caller may order for them."""

from weft.user.v1.user_pb2 import USER_STATE_ACTIVE
from weft_client import errors as client_errors
from weft_internal import InternalWeft

from chassis.errors import ServiceUnavailable
from chassis.security import modes
from chassis.security.identity import Identity
from chassis.ttl_cache import TtlCache
from services.order.domain.refusals import CustomerNotFound, CustomerRequired

CACHE_TTL_S = 30.0
"""How long an active customer is cached."""
MAX_CACHED_CUSTOMERS = 10_000


class Customers:
    """Asks the user service for the partner of a customer. Only active customers are cached: a new one is found immediately."""

    def __init__(self, clients: InternalWeft) -> None:
        self._clients = clients
        self._owners: TtlCache[str, tuple[str, str]] = TtlCache(CACHE_TTL_S, MAX_CACHED_CUSTOMERS)

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

    async def _owner_of(self, user_id: str) -> tuple[str, str] | None:
        """The partner and the mode of an active user; None if there is no such user."""
        cached = self._owners.get(user_id)
        if cached is not None:
            return cached
        try:
            found = await self._clients.users.batch_get_users(user_ids=[user_id])
        except client_errors.WeftError as error:
            raise ServiceUnavailable() from error
        for user in found.users:
            if user.user_id == user_id and user.state == USER_STATE_ACTIVE:
                owner = user.partner_id, modes.of_message(user.mode)
                self._owners.put(user_id, owner)
                return owner
        return None
