"""The customer's look-up at the user service, and its short memory, as Weft's order service has."""

import time
from collections.abc import Awaitable, Callable

from bench.peers.refusals import Refused
from bench.peers.tokens import Caller

REMEMBERED_SECONDS = 30.0

Lookup = Callable[[str], Awaitable[str | None]]
"""From a user's id to the partner whose customer the user is; None where there is no such user."""


class Customers:
    """Answers whose customer a user is."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._known: dict[str, tuple[float, str]] = {}

    async def check(self, caller: Caller, customer_id: str) -> str:
        """The id of the one who buys. Raises `Refused` where it is no customer of the caller's."""
        if not caller.partner_id:
            return caller.subject
        until, partner_id = self._known.get(customer_id, (0.0, ""))
        if until < time.monotonic():
            found = await self._lookup(customer_id)
            partner_id = found or ""
            if found is not None:
                self._known[customer_id] = (time.monotonic() + REMEMBERED_SECONDS, found)
        if partner_id != caller.partner_id:
            raise Refused("NOT_FOUND", "CUSTOMER_NOT_FOUND", "The partner has no such customer.")
        return customer_id
