"""Events about users, each with the next number of its user's sequence."""

from google.protobuf.message import Message

from chassis.clock import Clock
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.storage.database import Transaction
from services.user.users.repository import UserRepository


class UserEvents:
    """Writes events about users to the outbox."""

    def __init__(self, events: Outbox, users: UserRepository, clock: Clock) -> None:
        self._events = events
        self._users = users
        self._clock = clock

    async def put(self, tx: Transaction, type: str, user_id: str, payload: Message, actor: str) -> None:
        """Write an event about a user, of its partner and mode. The transaction locks the user's row from here on."""
        sequence, partner_id, mode = await self._users.next_event(tx, user_id)
        event = outbox.event(
            self._clock,
            type=type,
            aggregate_id=user_id,
            sequence=sequence,
            payload=payload,
            actor=actor,
            user_id=user_id,
            partner_id=partner_id,
            mode=mode,
        )
        await self._events.put(tx, event)
