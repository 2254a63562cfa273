"""Tells the other services whom to erase, until each has done so."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from weft_client.errors import WeftError
from weft_internal import InternalWeft

from chassis import ids
from chassis.queues.dead_letters import DeadLetters
from chassis.queues.queue import Job, Queue
from chassis.storage.database import Database, Transaction
from services.user.erasure.repository import PersonRepository

SECOND_PASS_DELAY = timedelta(minutes=20)
"""After which everything is erased once more: access tokens have expired, and calls that were under way have ended."""
SERVICES = ("user", "order", "notification")
"""By hand, as each is called in its own way (`ErasureWorker`). A test compares them with the Erase… RPCs of the contract."""
MAX_PARTS = 50
"""Of one attempt."""

Part = Callable[[str, str], Awaitable[bool]]
"""Takes the user id and the pseudonym; returns whether it is done."""


async def put(tx: Transaction, jobs: Queue, user_id: str, now: datetime) -> None:
    """Queue the erasure of a person, in the transaction that anonymises the account: now, and after `SECOND_PASS_DELAY`.

    The pseudonym is random and is stored nowhere else, so that once the jobs are gone it leads to nobody.
    """
    payload = json.dumps({"user_id": user_id, "pseudonym": ids.new("usr", now)}).encode()
    for service in SERVICES:
        if service != "user":
            await jobs.put(tx, kind=service, payload=payload, key=f"{user_id}/{service}")
        await jobs.put(tx, kind=service, payload=payload, key=f"{user_id}/{service}/late", due=now + SECOND_PASS_DELAY)


class ErasureWorker:
    """The handler of `erasure_jobs`. A service that is away is asked again; nothing is given up."""

    def __init__(
        self, database: Database, persons: PersonRepository, clients: InternalWeft, dead_letters: DeadLetters
    ) -> None:
        self._database = database
        self._persons = persons
        self._clients = clients
        self._dead_letters = dead_letters
        self._parts: Mapping[str, Part] = {"user": self._user, "order": self._order, "notification": self._notification}

    async def __call__(self, jobs: Sequence[Job]) -> None:
        """Each job ends when its service has erased everything."""
        for job in jobs:
            person = json.loads(job.payload)
            try:
                for _ in range(MAX_PARTS):
                    if await self._parts[job.kind](person["user_id"], person["pseudonym"]):
                        break
                else:
                    job.retry("more to erase", timedelta(0))
            except WeftError as error:
                job.retry(error.reason or error.code.name)

    async def _user(self, user_id: str, _: str) -> bool:
        async with self._database.transaction() as tx:
            await self._persons.delete_owned(tx, user_id)
        await self._dead_letters.delete(user_id)
        return True

    async def _order(self, user_id: str, pseudonym: str) -> bool:
        reply = await self._clients.customer.erase_customer_data(user_id=user_id, pseudonym=pseudonym)
        return bool(reply.done)

    async def _notification(self, user_id: str, _: str) -> bool:
        return (await self._clients.personal_data.erase_personal_data(user_id=user_id)).done
