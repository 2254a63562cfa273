"""Whether a message may go out: asked at the moment of sending, whenever it was accepted."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from weft.user.v1.user_pb2 import User

from chassis.clock import Clock
from chassis.storage.database import Database
from services.notification.channels.channel import Channel
from services.notification.channels.outcome import Outcome
from services.notification.deliveries.domain import Delivery, Reason
from services.notification.preferences.domain import Preferences
from services.notification.preferences.repository import PreferenceRepository
from services.notification.suppressions.domain import SuppressionReason
from services.notification.suppressions.repository import SuppressionRepository

_SUPPRESSED_BY = {
    Outcome.UNREACHABLE: SuppressionReason.HARD_BOUNCE,
    Outcome.OPTED_OUT: SuppressionReason.OPTED_OUT,
}

Suppressions = Mapping[bytes, Sequence[SuppressionReason]]
"""The reasons of addresses, by their keyed hash."""


class Gate:
    """Preferences and suppressions, as the deliveries of one channel ask for them."""

    def __init__(
        self,
        database: Database,
        preferences: PreferenceRepository,
        suppressions: SuppressionRepository,
        clock: Clock,
        channel: Channel,
    ) -> None:
        self._database = database
        self._preferences = preferences
        self._suppressions = suppressions
        self._clock = clock
        self._channel = channel

    async def preferences(self, user_ids: Iterable[str]) -> Mapping[str, Preferences]:
        """Of those who have chosen something."""
        return await self._preferences.get_many(user_ids)

    def unwanted(self, delivery: Delivery, preferences: Preferences | None, user: User | None) -> Reason:
        """Why the person does not want the message now; `NONE` where they may get it."""
        if preferences is None:
            return Reason.NONE
        if preferences.mutes(delivery.category, self._channel):
            return Reason.PREFERENCE
        if preferences.silences(delivery.category, self._clock.now(), user.time_zone if user is not None else ""):
            return Reason.QUIET_HOURS
        return Reason.NONE

    def digest_due(self, delivery: Delivery, preferences: Preferences | None, user: User | None) -> datetime | None:
        """When the digest is sent that the delivery belongs into; None where it goes out alone, as what would expire before does."""
        if preferences is None or delivery.members or preferences.mutes(delivery.category, self._channel):
            return None
        zone = user.time_zone if user is not None else ""
        due = preferences.digest_due(delivery.category, self._channel, self._clock.now(), zone)
        expires = due is not None and delivery.expire_at is not None and delivery.expire_at <= due
        return None if expires else due

    async def suppressions(self, users: Iterable[User]) -> Suppressions:
        """Of the addresses that the users have now, for a batch."""
        if self._channel is Channel.PUSH:
            return {}
        addresses = {user.phone if self._channel is Channel.SMS else user.email for user in users}
        return await self._suppressions.find_reasons(self._channel, addresses - {""})

    async def is_suppressed(self, delivery: Delivery, address: str, known: Suppressions) -> bool:
        """Whether nothing like it is sent to the address any more; looked up where it is not known."""
        if self._channel is Channel.PUSH:  # a subscription of no use is removed
            return False
        lookup = self._suppressions.lookup(address)
        if (reasons := known.get(lookup)) is None:
            reasons = (await self._suppressions.find_reasons(self._channel, [address]))[lookup]
        return any(reason.stops(delivery.category) for reason in reasons)

    async def learn(self, delivery: Delivery, address: str, outcome: Outcome) -> None:
        """Remember what a provider has said of an address for good."""
        if (reason := _SUPPRESSED_BY.get(outcome)) and self._channel is not Channel.PUSH:
            lookup = self._suppressions.lookup(address)
            await self._suppressions.insert_if_absent(
                self._database, self._channel, lookup, reason, self._clock.now(), delivery.delivery_id
            )
