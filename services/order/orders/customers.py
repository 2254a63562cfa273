"""For whom an order is placed."""

import time

from weft.user.v1.user_pb2 import USER_STATE_ACTIVE
from weft_client import errors as client_errors
from weft_internal import InternalWeft

from chassis.errors import ServiceUnavailable
from chassis.security.identity import Identity
from services.order.domain.order import CustomerNotFound, CustomerRequired

KEEP = 30.0
"""Seconds that a customer is taken for active after the user service said so."""
MOST = 10_000
"""Customers that are remembered."""


class Customers:
    """Asks the user service whose customers are whose. Only a yes is remembered: who was just created is found at once."""

    def __init__(self, clients: InternalWeft) -> None:
        self._clients = clients
        self._known: dict[str, tuple[float, str]] = {}

    async def buyer(self, caller: Identity, asked: str) -> str:
        """The user who buys. Raises `CustomerRequired`, `CustomerNotFound`, or `ServiceUnavailable` where nobody can say."""
        if not caller.is_partner:
            if asked in ("", "me", caller.user_id):
                return caller.user_id
            raise CustomerNotFound(customer_id=asked)
        if not asked:
            raise CustomerRequired()
        if asked == "me" or not caller.partner_id or await self._partner_of(asked) != caller.partner_id:
            raise CustomerNotFound(customer_id=asked)
        return asked

    async def _partner_of(self, user_id: str) -> str | None:
        """The partner of an active user; None where there is no such user."""
        known, now = self._known.get(user_id), time.monotonic()
        if known is not None and known[0] > now:
            return known[1]
        try:
            found = await self._clients.users.batch_get_users(user_ids=[user_id])
        except client_errors.WeftError as error:
            raise ServiceUnavailable() from error
        for user in found.users:
            if user.user_id == user_id and user.state == USER_STATE_ACTIVE:
                if len(self._known) >= MOST:
                    self._known.clear()
                self._known[user_id] = (now + KEEP, user.partner_id)
                return user.partner_id
        self._known.pop(user_id, None)
        return None
