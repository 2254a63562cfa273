"""Digests: what a person wants together is one message, and nothing is in two of them or in none."""

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from weft.notification.v1.category_pb2 import (
    CATEGORY_MARKETING,
    CATEGORY_ORDERS,
    CATEGORY_UPDATES,
    CHANNEL_EMAIL,
    CHANNEL_INBOX,
    CHANNEL_SMS,
)
from weft.notification.v1.notification_pb2 import Content, Recipient
from weft.notification.v1.preference_service_pb2 import UpdatePreferencesRequest
from weft.notification.v1.preferences_pb2 import Digest, Muted, Preferences, QuietHours

from chassis import ids
from chassis.clock import FixedClock
from services.notification.deliveries.repository import DeliveryRepository
from services.notification.digests.repository import MAX_SIZE
from services.notification.preferences.domain import QuietHours as Hours
from tests import servers
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start
from tests.notification.preferences.calls import as_user, rpc, update
from tests.notification.requests.calls import Caller, at, customer

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = {
    "digests": [
        Digest(category=category, channel=CHANNEL_EMAIL, window_s=3600)
        for category in (CATEGORY_MARKETING, CATEGORY_ORDERS, CATEGORY_UPDATES)
    ]
}


async def send(service: Service, caller: Caller, to: Recipient, subject: str, **more: Any) -> str:
    reply = await caller.send(to, content=Content(subject=subject, text="It waits."), **more)
    await service.wait_until_idle()
    return str(reply.notifications[0].notification_id)


async def empty(service: Service, user_id: str, field: str) -> None:
    request = UpdatePreferencesRequest(preferences=Preferences(user_id="me"), update_mask=FieldMask(paths=[field]))
    await rpc(service).UpdatePreferences(request, metadata=as_user(service, user_id))


async def later(service: Service, clock: FixedClock, by: timedelta) -> list[str]:
    """The subjects of the mails that have come since."""
    before = len(service.receiver.mails)
    clock.advance(by)
    await service.wait_until_idle()
    return [str(mail["Subject"]) for mail in service.receiver.mails[before:]]


async def until_states(service: Service, clock: FixedClock, **expected: int) -> None:
    """Until so many deliveries have each state. Time goes on meanwhile: an answer that comes too late defers a job, on a slow machine."""
    found: dict[str, int] = {}

    async def are_there() -> bool:
        clock.advance(timedelta(seconds=5))
        await service.wait_until_idle()
        found.clear()
        found.update(Counter(state for state, _ in await service.states()))
        return found == expected

    await servers.until(are_there, f"{expected}")


async def of_digest(caller: Caller, notification_id: str) -> str:
    return str((await caller.deliveries(notification_id))[0].digest_id)


async def test_what_comes_within_a_window_is_one_mail_to_each_person_of_each_category_and_sender(start: Start) -> None:
    clock = FixedClock(NOON)
    async with start(clock=clock) as service:
        acme, platform = Caller(service), Caller(service, partner="")
        ann, bob = customer(service, display_name="Ann <b>"), customer(service)
        shown = await update(service, ann.user_id, **HOURLY)
        assert list(shown.digests) == HOURLY["digests"]
        first = await send(service, acme, ann, "Parcel <1>")
        sent = {name: await send(service, acme, ann, name) for name in ("Parcel 2", "Parcel 3")}
        await send(service, acme, ann, "Offer", category=CATEGORY_MARKETING)
        await send(service, platform, ann, "From the platform")
        await send(service, acme, bob, "At once")
        await service.publish(events.expired(ann.user_id), events.expired(ann.user_id), events.refunded(ann.user_id))
        await service.wait_until_idle()
        # A receipt and what is for others go out at once.
        assert sorted(str(mail["Subject"]) for mail in service.receiver.mails)[1] == "At once"
        assert len(service.receiver.mails) == 2
        assert await acme.parts(first) == [("SCHEDULED", "")]
        assert await later(service, clock, HOUR - timedelta(seconds=1)) == []
        assert sorted(await later(service, clock, timedelta(seconds=1))) == [
            "2 updates about your orders",
            "3 updates for you",
            "From the platform",
            "Offer",
        ]
        (mail,) = (mail for mail in service.receiver.mails if mail["Subject"] == "3 updates for you")
        text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        assert all(text.count(part) == 1 for part in ("Parcel <1>", "Parcel 2", "Parcel 3"))
        assert "<strong>Parcel &lt;1&gt;</strong><br>It waits." in html
        assert "Ann &lt;b&gt;" in html
        assert "List-Unsubscribe" in mail
        assert len({await of_digest(acme, each) for each in (first, *sent.values())}) == 1
        for each in (first, *sent.values()):
            assert await acme.parts(each) == [("SENT", "")]
            (delivery,) = await acme.deliveries(each)
            assert [(a.number, a.response_status) for a in delivery.attempts] == [(1, 250)]
        # The next one begins another window; without a digest what was begun is sent all the same.
        again = await send(service, acme, ann, "Parcel 4")
        await empty(service, ann.user_id, "digests")
        assert await send(service, acme, ann, "Parcel 5")
        assert service.receiver.mails[-1]["Subject"] == "Parcel 5"
        assert await later(service, clock, HOUR) == ["Parcel 4"]
        assert await of_digest(acme, again) != await of_digest(acme, first)


@pytest.mark.logs_errors("job_dead")
async def test_what_is_asked_for_when_a_digest_is_sent(start: Start) -> None:
    clock = FixedClock(NOON)
    async with start(clock=clock) as service:
        acme, ann = Caller(service), customer(service, time_zone="Europe/Vienna")
        await update(service, ann.user_id, **HOURLY)
        # Cancelled ones and those of no use any more drop out, and the next channel has theirs.
        kept = [await send(service, acme, ann, "Kept 1"), await send(service, acme, ann, "Kept 2")]
        cancelled = await send(service, acme, ann, "Cancelled")
        await acme.cancel(cancelled)
        soon = await send(service, acme, ann, "Of use for an hour", expire_at=at(clock.now() + HOUR))
        assert service.receiver.mails[-1]["Subject"] == "Of use for an hour"
        assert await acme.parts(soon) == [("SENT", "")]
        channels = [CHANNEL_EMAIL, CHANNEL_INBOX]
        falls_back = await send(service, acme, ann, "Falls back", channels=channels)
        assert await acme.parts(falls_back) == [("SCHEDULED", ""), ("ACCEPTED", "")]
        # A server that is away: all wait, with one attempt each.
        service.receiver.data_responses = ["451 later"]
        assert await later(service, clock, HOUR) == ["3 updates for you"]
        assert [await acme.parts(each) for each in (*kept, cancelled)] == [
            [("SCHEDULED", "")], [("SCHEDULED", "")], [("CANCELLED", "")],
        ]  # fmt: skip
        await acme.cancel(kept[1])
        service.receiver.data_responses = ["550 5.7.1 not this"]
        assert await later(service, clock, events.MAX_BACKOFF) == ["2 updates for you"]
        assert await acme.parts(kept[0]) == [("FAILED", "REFUSED")]
        assert await acme.parts(kept[1]) == [("CANCELLED", "")]
        assert await acme.parts(falls_back) == [("FAILED", "REFUSED"), ("SENT", "")]
        assert [a.number for a in (await acme.deliveries(kept[0]))[0].attempts] == [1, 2]
        # What has failed is sent again as everything is: it waits in another digest.
        await acme.retry((await acme.deliveries(kept[0]))[0])
        await service.wait_until_idle()
        assert await acme.parts(kept[0]) == [("SCHEDULED", "")]
        assert await later(service, clock, HOUR) == ["Kept 1"]
        # What a person has muted meanwhile, and quiet hours that have come meanwhile.
        muted = await send(service, acme, ann, "Muted")
        now = {"muted": [Muted(category=CATEGORY_UPDATES, channel=CHANNEL_EMAIL)]}
        await update(service, ann.user_id, **now)
        assert await later(service, clock, HOUR) == []
        assert await acme.parts(muted) == [("SKIPPED", "PREFERENCE")]
        await empty(service, ann.user_id, "muted")
        quiet = await send(service, acme, ann, "Quiet")
        await update(service, ann.user_id, quiet_hours=QuietHours(start="00:00", end="23:59"))
        assert await later(service, clock, HOUR) == []
        assert await acme.parts(quiet) == [("SKIPPED", "QUIET_HOURS")]
        # A window that ends in quiet hours that are known lasts until they end: 7:00 in Vienna is 5:00 UTC.
        await update(service, ann.user_id, quiet_hours=QuietHours(start="18:00", end="07:00"))
        night = await send(service, acme, ann, "Night")
        gone = await send(service, acme, ann, "Gone", expire_at=at(NOON + timedelta(hours=30)), channels=channels)
        before = f"expire_at = '{NOON + timedelta(hours=16)}' WHERE notification_id = '{gone}'"
        await service.rows(f"UPDATE notifications SET {before} RETURNING 1")
        due = (await service.rows("SELECT due FROM digests WHERE closed_at IS NULL"))[0].due
        assert due == (NOON + timedelta(days=1)).replace(hour=5)
        assert await later(service, clock, due - clock.now()) == ["Night"]
        assert await acme.parts(night) == [("SENT", "")]
        assert await acme.parts(gone) == [("EXPIRED", ""), ("EXPIRED", "")]


async def test_a_full_digest_is_sent_at_once_and_a_repeated_job_adds_nothing(start: Start) -> None:
    clock = FixedClock(NOON)
    async with start(clock=clock) as service:
        user = service.users.add(ids.new("usr"))
        await update(service, user, **HOURLY)
        full = {"SENT": MAX_SIZE}
        for count, states in ((MAX_SIZE - 1, {"SCHEDULED": MAX_SIZE - 1}), (1, full), (8, {**full, "SCHEDULED": 8})):
            await service.publish(*(events.expired(user) for _ in range(count)))
            await until_states(service, clock, **states)
            assert len(service.receiver.mails) == bool(states.get("SENT"))
        # As after a crash before the queue was told: the deliveries are in their digests.
        await service.put_jobs_again()
        clock.advance(HOUR)
        await until_states(service, clock, SENT=MAX_SIZE + 8)
        counts = [int(str(mail["Subject"]).split()[0]) for mail in service.receiver.mails]
        assert (len(counts), sum(counts)) == (2, MAX_SIZE + 8)
        # The same while the digests are being sent, whose jobs alone send their members.
        await service.rows("UPDATE deliveries SET state = 'SENDING' RETURNING 1")
        await service.put_jobs_again()
        await until_states(service, clock, SENDING=MAX_SIZE + 8)
        await service.put_jobs_again("dead")
        single = DeliveryRepository(service.app.database, "smtp", service.app._queues[0])
        assert await single.fail_dead(clock.now()) == 0
        # As after a crash before the result was stored: the same mail again, with the same Message-ID.
        await service.rows("UPDATE digest_jobs SET state = 'ready', due = created_at RETURNING 1")
        await until_states(service, clock, SENT=MAX_SIZE + 8)
        assert len(service.receiver.mails) == 4
        assert len({(str(mail["Message-ID"]), str(mail["Subject"])) for mail in service.receiver.mails}) == 2


async def test_what_is_no_digest_is_refused(service: Service) -> None:
    user = service.users.add(ids.new("usr"))
    twice = [Digest(category=CATEGORY_ORDERS, channel=CHANNEL_EMAIL, window_s=60)] * 2
    call = update(service, user, digests=twice)
    await assert_refused(call, "REQUEST_INVALID", violations={"preferences.digests[1]": ""})
    for wrong in ({"channel": CHANNEL_SMS}, {"window_s": 59}, {"category": 1}):
        named = {f"preferences.digests[0].{field}": "must be" for field in wrong}
        digest = Digest(**{"category": CATEGORY_ORDERS, "channel": CHANNEL_EMAIL, "window_s": 60, **wrong})
        await assert_refused(update(service, user, digests=[digest]), "REQUEST_INVALID", violations=named)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-07-01T22:30", "2026-07-02T05:00"),
        ("2026-07-01T03:00", "2026-07-01T05:00"),
        ("2026-10-24T23:30", "2026-10-25T06:00"),  # the night in which the clocks go back
        ("2026-03-28T23:30", "2026-03-29T05:00"),
    ],
)
def test_when_quiet_hours_end(moment: str, end: str) -> None:
    hours = Hours(time(22), time(7), "Europe/Vienna")
    found = hours.end_after(datetime.fromisoformat(moment).replace(tzinfo=UTC), "")
    assert found == datetime.fromisoformat(end).replace(tzinfo=UTC)
    assert not hours.includes(found, "")
