"""SendNotification: accepts a message for its recipients; everything else happens when it is dispatched."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from weft.user.v1.user_pb2 import User

from chassis import ids
from chassis.queues.queue import Queue
from chassis.security import modes
from chassis.security.identity import Identity
from chassis.storage.database import Transaction
from services.notification.persons.domain import RecipientNotFound
from services.notification.recipients import Recipients, belongs
from services.notification.requests.domain import NewMessage, To
from services.notification.requests.repository import NewRecord, RequestRepository
from services.notification.sealed_content import Contents


@dataclass(frozen=True)
class Sending:
    """Who sends: a partner in a mode, or an operator, who is of no partner."""

    partner_id: str
    mode: str

    @classmethod
    def of(cls, caller: Identity) -> "Sending":
        """The caller's."""
        return cls(caller.partner_id, caller.mode) if caller.is_partner else cls("", modes.LIVE)


class Sender:
    """Stores messages as notifications."""

    def __init__(
        self, records: RequestRepository, contents: Contents, recipients: Recipients, dispatch_jobs: Queue
    ) -> None:
        self._records = records
        self._contents = contents
        self._recipients = recipients
        self._jobs = dispatch_jobs

    async def get_users(self, recipients: Sequence[To], caller: Identity) -> Mapping[str, User]:
        """A partner notifies its own customers, of the mode of its client. Raises `RecipientNotFound`, or `ServiceUnavailable`."""
        wanted = {to.user_id for to in recipients if to.user_id}
        if not wanted:
            return {}
        users = await self._recipients.look_up(wanted)
        for user_id in sorted(wanted):
            user = users.get(user_id)
            if user is None or (caller.is_partner and not belongs(user, caller.partner_id, caller.mode)):
                raise RecipientNotFound(user_id=user_id)
        return users

    async def store(
        self,
        tx: Transaction,
        message: NewMessage,
        sending: Sending,
        now: datetime,
        users: Mapping[str, User] = MappingProxyType({}),
    ) -> list[str]:
        """Store one notification for each recipient, with its deliveries and their dispatch; returns their ids.

        `users` are the recipients that are users. In TEST nobody tries whether they can be reached, so it is decided now.
        """
        due = max(message.send_at or now, now)
        # Dated by when they are due, so that an inbox shows them then; sorted ids keep the order of the recipients.
        notification_ids = sorted(ids.new("ntf", due) for _ in message.recipients)
        hashes = [_hash(message, sending, to) for to in message.recipients] if message.content.dedupe_key else []
        repeats = await self._records.claim_keys(
            tx, dict(zip(hashes, notification_ids, strict=False)), now, now + message.dedupe_window
        )
        records = [
            NewRecord(
                notification_id=notification_id,
                user_id=to.user_id,
                content_sealed=self._contents.seal(replace(message.content, email=to.email, phone=to.phone)),
                duplicate_of=repeats.get(notification_id, ""),
                unreachable=to.unreachable_by(users.get(to.user_id)) if sending.mode == modes.TEST else frozenset(),
            )
            for notification_id, to in zip(notification_ids, message.recipients, strict=True)
        ]
        await self._records.insert(tx, records, message, sending.partner_id, sending.mode, due, now)
        for record in records:
            if not record.duplicate_of:
                await self._jobs.put(
                    tx, kind="begin", key=record.notification_id, payload=record.notification_id.encode(), due=due
                )
        return notification_ids


def _hash(message: NewMessage, sending: Sending, to: To) -> bytes:
    whom = to.user_id or to.email.lower() or to.phone
    parts = (sending.partner_id, sending.mode, message.content.dedupe_key, whom)
    return hashlib.sha256("\n".join(parts).encode()).digest()
