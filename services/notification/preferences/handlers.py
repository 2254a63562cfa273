"""The RPCs of PreferenceService."""

from collections.abc import Iterable
from datetime import time, timedelta
from typing import Any

from google.protobuf import empty_pb2
from weft.notification.v1 import category_pb2, preferences_pb2
from weft.notification.v1 import preference_service_pb2 as pb

from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.rpc.requests import masks
from chassis.storage.database import Database
from chassis.times import timestamp
from chassis.values import time_zones
from services.notification.categories import Category
from services.notification.channels.channel import Channel
from services.notification.preferences.domain import Preferences, PreferencesNotFound, QuietHours
from services.notification.preferences.repository import PreferenceRepository
from services.notification.preferences.unsubscribing import UnsubscribeLinks
from services.notification.suppressions.domain import SuppressionReason
from services.notification.suppressions.repository import SuppressionRepository


class PreferenceHandlers:
    """weft.notification.v1.PreferenceService."""

    def __init__(
        self,
        database: Database,
        preferences: PreferenceRepository,
        suppressions: SuppressionRepository,
        links: UnsubscribeLinks,
        clock: Clock,
    ) -> None:
        self._database = database
        self._preferences = preferences
        self._suppressions = suppressions
        self._links = links
        self._clock = clock

    async def GetPreferences(self, request: pb.GetPreferencesRequest, call: Call) -> preferences_pb2.Preferences:
        """The caller's own."""
        return to_message(await self._preferences.get(_own(request.user_id, call)))

    async def UpdatePreferences(self, request: pb.UpdatePreferencesRequest, call: Call) -> preferences_pb2.Preferences:
        """The row is locked between the check of the etag and the update."""
        user_id, changes = _own(request.preferences.user_id, call), _changes(request)
        async with self._database.transaction() as tx:
            found = await self._preferences.lock(tx, user_id, self._clock.now())
            if found is None:
                raise PreferencesNotFound(user_id=user_id)
            changed = found.update(self._clock.now(), request.preferences.etag, changes)
            if changed is not found:
                await self._preferences.update(tx, changed)
        return to_message(changed)

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, _: Call) -> empty_pb2.Empty:
        """Of a user the category is muted; an address without one is suppressed."""
        of, now = self._links.read(request.token), self._clock.now()
        async with self._database.transaction() as tx:
            if of.user_id:
                found = await self._preferences.lock(tx, of.user_id, now)
                if found is not None and (of.category, Channel.EMAIL) not in found.muted:
                    muted = found.muted | {(of.category, Channel.EMAIL)}
                    await self._preferences.update(tx, found.update(now, "", {"muted": muted}))
            else:
                await self._suppressions.insert_if_absent(
                    tx, Channel.EMAIL, of.address_lookup, SuppressionReason.UNSUBSCRIBED, now
                )
        return empty_pb2.Empty()


def _own(user_id: str, call: Call) -> str:
    if user_id not in ("me", call.caller.user_id):
        raise PreferencesNotFound(user_id=user_id)
    return call.caller.user_id


def _changes(request: pb.UpdatePreferencesRequest) -> dict[str, Any]:
    """What an update changes, by the names of `Preferences`. Raises `RequestInvalid`."""
    fields, given = masks.fields(request, "preferences"), request.preferences
    changes: dict[str, Any] = {}
    if "muted" in fields:
        pairs = [
            (Category(category_pb2.Category.Name(m.category)[9:]), Channel(category_pb2.Channel.Name(m.channel)[8:]))
            for m in given.muted
        ]
        changes["muted"] = frozenset(pairs)
    if "quiet_hours" in fields:
        changes["quiet_hours"] = _quiet_hours(given.quiet_hours) if given.HasField("quiet_hours") else None
    if "digests" in fields:
        changes["digests"] = _digests(given.digests)
    return changes


def _digests(given: Iterable[preferences_pb2.Digest]) -> dict[tuple[Category, Channel], timedelta]:
    found: dict[tuple[Category, Channel], timedelta] = {}
    for number, each in enumerate(given):
        pair = (
            Category(category_pb2.Category.Name(each.category)[9:]),
            Channel(category_pb2.Channel.Name(each.channel)[8:]),
        )
        if pair in found:
            raise RequestInvalid(violations=[(f"preferences.digests[{number}]", "must not repeat another one")])
        found[pair] = timedelta(seconds=each.window_s)
    return found


def _quiet_hours(message: preferences_pb2.QuietHours) -> QuietHours:
    if message.start == message.end:
        raise RequestInvalid(violations=[("preferences.quiet_hours.end", "must not be when they begin")])
    try:
        zone = time_zones.normalise(message.time_zone) if message.time_zone else ""
    except ValueError as error:
        raise RequestInvalid(violations=[("preferences.quiet_hours.time_zone", f"is {error}")]) from None
    return QuietHours(time.fromisoformat(message.start), time.fromisoformat(message.end), zone)


def to_message(preferences: Preferences) -> preferences_pb2.Preferences:
    """Pairs of category and channel come in the order of their names, so that equal preferences have equal messages."""
    message = preferences_pb2.Preferences(
        user_id=preferences.user_id,
        etag=preferences.etag,
        muted=[
            preferences_pb2.Muted(
                category=category_pb2.Category.Value(f"CATEGORY_{category.value}"),
                channel=category_pb2.Channel.Value(f"CHANNEL_{channel.value}"),
            )
            for category, channel in sorted(preferences.muted, key=lambda pair: (pair[0].value, pair[1].value))
        ],
        update_time=timestamp(preferences.updated_at),
    )
    for (category, channel), window in sorted(
        preferences.digests.items(), key=lambda item: (item[0][0].value, item[0][1].value)
    ):
        message.digests.add(
            category=category_pb2.Category.Value(f"CATEGORY_{category.value}"),
            channel=category_pb2.Channel.Value(f"CHANNEL_{channel.value}"),
            window_s=int(window.total_seconds()),
        )
    if quiet := preferences.quiet_hours:
        message.quiet_hours.start, message.quiet_hours.end = f"{quiet.start:%H:%M}", f"{quiet.end:%H:%M}"
        message.quiet_hours.time_zone = quiet.time_zone
    return message
