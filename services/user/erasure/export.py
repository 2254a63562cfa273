"""What is held of a person, from every service, in an order that pages can follow."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from google.protobuf import json_format
from weft.api.v1.personal_record_pb2 import PersonalRecord
from weft_client.errors import WeftError
from weft_internal import InternalWeft

from chassis.errors import ServiceUnavailable
from chassis.rpc.pagination import NEWEST
from services.user.audit.handlers import to_message as audit_to_message
from services.user.audit.repository import AuditRepository
from services.user.erasure.repository import PersonRepository
from services.user.users.domain import User
from services.user.users.messages import to_message

MAX_RECORDS = 25
"""Of one read: orders are large."""


class Part(NamedTuple):
    """Some records of a source, and whether it has more."""

    records: Sequence[PersonalRecord]
    more: bool


Source = Callable[[User, str, int], Awaitable[Part]]
"""Takes the user, the record id to go on after, and how many records."""


class Export:
    """The sources, in the order of an export."""

    def __init__(self, persons: PersonRepository, trail: AuditRepository, clients: InternalWeft) -> None:
        self._persons = persons
        self._trail = trail
        self._clients = clients
        self.sources: Sequence[Source] = (self._user, self._audit, self._orders, self._notifications)

    async def _user(self, user: User, _: str, __: int) -> Part:
        """The account, and the rows that belong to it: at most some tens of small ones for a person."""
        records = [_record("user", user.user_id, json_format.MessageToDict(to_message(user)))]
        for row in await self._persons.read_owned(user.user_id):
            columns = {name: value for name, value in row.columns.items() if name != "user_id"}
            records.append(_record(row.table, row.key, json.loads(json.dumps(columns, default=str))))
        return Part(records, False)

    async def _audit(self, user: User, after: str, limit: int) -> Part:
        """What was done to the account."""
        found = await self._trail.list(limit + 1, after or NEWEST, {"subject": user.user_id})
        shown = [audit_to_message(event) for event in found[:limit]]
        records = [_record("audit_event", m.audit_event_id, json_format.MessageToDict(m)) for m in shown]
        return Part(records, len(found) > limit)

    async def _orders(self, user: User, after: str, limit: int) -> Part:
        try:
            reply = await self._clients.customer.read_customer_data(user_id=user.user_id, after=after, limit=limit)
        except WeftError as error:
            raise ServiceUnavailable() from error
        return Part(reply.records, reply.more)

    async def _notifications(self, user: User, after: str, limit: int) -> Part:
        try:
            reply = await self._clients.personal_data.read_personal_data(user_id=user.user_id, after=after, limit=limit)
        except WeftError as error:
            raise ServiceUnavailable() from error
        return Part(reply.records, reply.more)


def _record(kind: str, record_id: str, data: dict[str, Any]) -> PersonalRecord:
    record = PersonalRecord(type=kind, record_id=record_id)
    record.data.update(data)
    return record
