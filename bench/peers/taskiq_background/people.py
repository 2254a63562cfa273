"""Who a customer is, asked of the user service and remembered for half a minute."""

import time
from dataclasses import dataclass

import httpx

from bench.peers.customers import REMEMBERED_SECONDS


@dataclass(frozen=True)
class Person:
    """Where mails go, and how they greet."""

    email: str
    name: str


class People:
    """Persons by id."""

    def __init__(self, users: httpx.AsyncClient) -> None:
        self._users = users
        self._known: dict[str, tuple[float, Person]] = {}

    async def find(self, user_id: str) -> Person:
        """The person. Raises `httpx.HTTPError`."""
        until, person = self._known.get(user_id, (0.0, Person("", "")))
        if until < time.monotonic():
            reply = (await self._users.get(f"/v1/users/{user_id}")).raise_for_status().json()
            person = Person(reply["email"], reply["displayName"])
            self._known[user_id] = time.monotonic() + REMEMBERED_SECONDS, person
        return person
