"""What people have chosen is asked for when a message is sent; what cannot be muted is sent all the same."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from google.api.httpbody_pb2 import HttpBody
from weft.api.v1.event_pb2 import Event
from weft.notification.v1 import (
    inbox_service_pb2,
    notification_service_pb2,
    preference_service_pb2,
    suppression_service_pb2,
    suppression_service_pb2_grpc,
)
from weft.notification.v1.category_pb2 import (
    CATEGORY_ACCOUNT,
    CATEGORY_MARKETING,
    CATEGORY_ORDERS,
    CATEGORY_UPDATES,
    CHANNEL_EMAIL,
    CHANNEL_INBOX,
    CHANNEL_SMS,
)
from weft.notification.v1.notification_pb2 import Recipient
from weft.notification.v1.preferences_pb2 import Muted, Preferences, QuietHours

from chassis import ids
from chassis.clock import FixedClock
from deploy.local.components import sms_sink
from deploy.local.state.credentials import public_key
from services.notification.preferences.domain import QuietHours as Hours
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start
from tests.notification.delivery_events.calls import KEY, Told
from tests.notification.preferences.calls import as_user, rpc, update
from tests.notification.requests.calls import Caller
from tests.notification.texts import Provider

MIDNIGHT_IN_VIENNA = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


def as_operator(service: Service) -> list[tuple[str, str]]:
    scopes = "notifications.read notifications.send"
    return [("authorization", service.harness.issuer.operator(ids.new("usr"), scopes))]


MUTED = {"muted": [Muted(category=CATEGORY_ORDERS, channel=CHANNEL_EMAIL)]}
OTHERS_MUTED = {
    "muted": [
        Muted(category=CATEGORY_MARKETING, channel=CHANNEL_EMAIL),
        Muted(category=CATEGORY_ORDERS, channel=CHANNEL_SMS),
    ]
}
QUIET = {"quiet_hours": QuietHours(start="22:00", end="07:00")}
QUIET_ELSEWHERE = {"quiet_hours": QuietHours(start="22:00", end="07:00", time_zone="America/New_York")}
ORDER, RECEIPT, WARNING = events.expired, events.refunded, events.password_changed


REFUSED, BOUNCED, BLOCKED, COMPLAINED, STOPPED, STOPPED_LATER, UNSUBSCRIBED = range(1, 8)
"""What has happened with an earlier message to the same person."""
SENT, SUPPRESSED = ("SENT", ""), ("SKIPPED", "SUPPRESSED")
MUTABLE, CRITICAL = CATEGORY_UPDATES, CATEGORY_ACCOUNT
Case = tuple[dict[str, object], int, Callable[[str], Event] | int, int, tuple[str, str]]
CASES: list[Case] = [
    # What the person has chosen, what has happened, what is sent by which channel, and what becomes of it.
    ({}, 0, ORDER, CHANNEL_EMAIL, SENT),
    (MUTED, 0, ORDER, CHANNEL_EMAIL, ("SKIPPED", "PREFERENCE")),
    (MUTED, 0, CATEGORY_ORDERS, CHANNEL_EMAIL, ("SKIPPED", "PREFERENCE")),
    (OTHERS_MUTED, 0, ORDER, CHANNEL_EMAIL, SENT),
    (OTHERS_MUTED, 0, CATEGORY_ORDERS, CHANNEL_SMS, ("SKIPPED", "PREFERENCE")),
    (MUTED, 0, RECEIPT, CHANNEL_EMAIL, SENT),
    (QUIET, 0, ORDER, CHANNEL_EMAIL, ("SKIPPED", "QUIET_HOURS")),
    (QUIET, 0, MUTABLE, CHANNEL_SMS, ("SKIPPED", "QUIET_HOURS")),
    (QUIET_ELSEWHERE, 0, ORDER, CHANNEL_EMAIL, SENT),
    (QUIET, 0, RECEIPT, CHANNEL_EMAIL, SENT),
    (QUIET, 0, WARNING, CHANNEL_EMAIL, SENT),
    (QUIET, 0, CRITICAL, CHANNEL_SMS, SENT),
    # Where nothing can arrive, or the carrier was told to stop, not even what is critical is sent; to who complains it is.
    ({}, REFUSED, ORDER, CHANNEL_EMAIL, SUPPRESSED),
    ({}, REFUSED, WARNING, CHANNEL_EMAIL, SUPPRESSED),
    ({}, BOUNCED, MUTABLE, CHANNEL_EMAIL, SUPPRESSED),
    ({}, BOUNCED, CRITICAL, CHANNEL_EMAIL, SUPPRESSED),
    ({}, BLOCKED, MUTABLE, CHANNEL_EMAIL, SENT),
    ({}, COMPLAINED, MUTABLE, CHANNEL_EMAIL, SUPPRESSED),
    ({}, COMPLAINED, WARNING, CHANNEL_EMAIL, SENT),
    (MUTED, COMPLAINED, ORDER, CHANNEL_EMAIL, ("SKIPPED", "PREFERENCE")),
    ({}, STOPPED, MUTABLE, CHANNEL_SMS, SUPPRESSED),
    ({}, STOPPED_LATER, MUTABLE, CHANNEL_SMS, SUPPRESSED),
    ({}, STOPPED_LATER, CRITICAL, CHANNEL_SMS, SUPPRESSED),
    ({}, UNSUBSCRIBED, MUTABLE, CHANNEL_EMAIL, ("SKIPPED", "PREFERENCE")),
    ({}, UNSUBSCRIBED, CRITICAL, CHANNEL_EMAIL, SENT),
]  # fmt: skip


class Sending:
    """An operator who sends to people, and asks the API what became of it."""

    def __init__(self, service: Service) -> None:
        self.told = Told(service)
        self.told.acme = self.operator = Caller(service, partner="")
        self.service = service

    def person(self, number: int, happened: int) -> str:
        """A new user, with a number."""
        phone = "+15005550004" if happened == STOPPED else f"+4366000{number:05}"
        fields = {"phone": phone, "phone_verified": True, "time_zone": "Europe/Vienna"}
        return self.service.users.add(ids.new("usr"), **fields)

    async def send(self, user: str, what: Callable[[str], Event] | int, channel: int) -> None:
        if callable(what):
            await self.service.publish(what(user))
        else:
            await self.operator.send(Recipient(user_id=user), channels=[channel], category=what)

    async def last(self, user: str) -> tuple[str, tuple[str, str]]:
        """Of the newest notification of a user: the id of its delivery, and its state and reason."""
        request = notification_service_pb2.ListNotificationsRequest(user_id=user, page_size=1)
        found = await self.operator.rpc.ListNotifications(request, metadata=self.operator.metadata)
        notification_id = found.notifications[0].notification_id
        (state,) = await self.operator.parts(notification_id)
        return (await self.operator.deliveries(notification_id))[0].delivery_id, state

    async def happen(self, user: str, what: int) -> None:
        """An earlier message, and what became of it."""
        by_sms = what in (STOPPED, STOPPED_LATER)
        if what == REFUSED:
            self.service.receiver.recipient_responses = ["550 5.1.1 no such user"]
        await self.send(user, MUTABLE, CHANNEL_SMS if by_sms else CHANNEL_EMAIL)
        await self.service.wait_until_idle()
        delivery, state = await self.last(user)
        assert state == {REFUSED: ("FAILED", "ADDRESS_UNUSABLE"), STOPPED: ("FAILED", "OPTED_OUT")}.get(what, SENT)
        event = {"email": f"{user}@example.com", "type": "blocked" if what == BLOCKED else "bounce"}
        if what in (BOUNCED, BLOCKED):
            await self.told.sendgrid(self.told.event(delivery, "bounce", **event))
        elif what == COMPLAINED:
            await self.told.sendgrid(self.told.event(delivery, "spamreport", **event))
        elif what == STOPPED_LATER:
            await self.told.twilio(delivery, "failed", "21610", to=self.service.users.by_id[user].phone)
        elif what == UNSUBSCRIBED:
            link = str(self.service.receiver.mails[-1]["list-unsubscribe"])
            token = parse_qs(urlsplit(link.strip("<>")).query)["token"][0]
            await rpc(self.service).Unsubscribe(preference_service_pb2.UnsubscribeRequest(token=token))


@pytest.mark.logs_errors("job_dead")
async def test_a_message_that_is_not_wanted_is_skipped_and_says_why(start: Start, provider: Provider) -> None:
    clock = FixedClock(MIDNIGHT_IN_VIENNA)
    async with start(clock=clock, **provider.settings, sendgrid_event_keys=[public_key(KEY)]) as service:
        sending = Sending(service)
        users = [sending.person(number, happened) for number, (_, happened, *_) in enumerate(CASES)]
        for user, (_, happened, *_) in zip(users, CASES, strict=True):
            if happened:
                await sending.happen(user, happened)
        mails, texts = len(service.receiver.mails), len(sms_sink.messages(provider.folder))
        clock.advance(timedelta(seconds=1))  # ids of one millisecond have no order
        for user, (chosen, _, what, channel, _) in zip(users, CASES, strict=True):
            if chosen:
                await update(service, user, **chosen)
            await sending.send(user, what, channel)
        await service.wait_until_idle()
        found = [(await sending.last(user))[1] for user in users]
        assert found == [expected for *_, expected in CASES]
        sent = [channel for *_, channel, expected in CASES if expected == SENT]
        assert len(service.receiver.mails) - mails == sent.count(CHANNEL_EMAIL)
        assert len(sms_sink.messages(provider.folder)) - texts == sent.count(CHANNEL_SMS)


@pytest.mark.parametrize(
    ("now", "quiet"),
    [
        # In Vienna clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
        ("2026-03-28T05:30Z", True),  # 06:30
        ("2026-03-29T04:59Z", True),  # 06:59 of summer
        ("2026-03-29T05:00Z", False),  # 07:00
        ("2026-10-24T20:00Z", True),  # 22:00 of summer
        ("2026-10-25T05:59Z", True),  # 06:59 of winter
        ("2026-10-25T06:00Z", False),
        ("2026-10-25T20:59Z", False),  # 21:59
    ],
)
def test_quiet_hours_follow_the_clock_on_the_wall(now: str, quiet: bool) -> None:
    hours = Hours(time(22), time(7))
    assert hours.includes(datetime.fromisoformat(now), "Europe/Vienna") is quiet


async def test_preferences_are_the_callers_and_change_once_for_each_etag(service: Service) -> None:
    user = service.users.add(ids.new("usr"))
    get = preference_service_pb2.GetPreferencesRequest(user_id="me")
    fresh = await rpc(service).GetPreferences(get, metadata=as_user(service, user))
    assert (fresh.user_id, fresh.etag, list(fresh.muted), fresh.HasField("update_time")) == (user, "0", [], False)
    changed = await update(service, user, etag="0", **MUTED, **QUIET)
    assert (changed.etag, changed.quiet_hours.start) == ("1", "22:00")
    await assert_refused(update(service, user, etag="0", **MUTED), "ETAG_MISMATCH")
    cleared = preference_service_pb2.UpdatePreferencesRequest(preferences=Preferences(user_id=user))
    cleared.update_mask.paths.extend(["quiet_hours"])
    without = await rpc(service).UpdatePreferences(cleared, metadata=as_user(service, user))
    assert (without.HasField("quiet_hours"), len(without.muted)) == (False, 1)
    for wrong, field in (
        ({"muted": [Muted(category=CATEGORY_ACCOUNT, channel=CHANNEL_EMAIL)]}, "preferences.muted[0].category"),
        ({"quiet_hours": QuietHours(start="22:00", end="22:00")}, "preferences.quiet_hours.end"),
        ({"quiet_hours": QuietHours(start="22:00", end="07:00", time_zone="x")}, "preferences.quiet_hours.time_zone"),
    ):
        await assert_refused(update(service, user, **wrong), "REQUEST_INVALID", violations={field: ""})


async def test_a_muted_inbox_stays_empty(service: Service) -> None:
    user = service.users.add(ids.new("usr"))
    await update(service, user, muted=[Muted(category=CATEGORY_ORDERS, channel=CHANNEL_INBOX)])
    await service.publish(events.placed(user), events.refunded(user))
    await service.wait_until_idle()
    listed = await service.inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=as_user(service, user))
    assert [item.type for item in listed.items] == ["payment.refunded"]


async def test_one_click_unsubscribes_from_the_category_of_the_mail_alone(service: Service) -> None:
    user = service.users.add(ids.new("usr"))
    await service.publish(events.expired(user), events.refunded(user))
    await service.wait_until_idle()
    links = {str(m["subject"]): (m["list-unsubscribe"], m["list-unsubscribe-post"]) for m in service.receiver.mails}
    with_link = [link for link in links.values() if link[0]]
    assert len(with_link) == 1  # the receipt has none
    assert with_link[0][1] == "List-Unsubscribe=One-Click"
    url = urlsplit(with_link[0][0].strip("<>"))
    assert url._replace(query="").geturl() == "https://weft.test/v1/unsubscribe"
    token = parse_qs(url.query)["token"][0]
    form = HttpBody(content_type="application/x-www-form-urlencoded", data=b"List-Unsubscribe=One-Click")
    request = preference_service_pb2.UnsubscribeRequest(token=token, form=form)
    for _ in range(2):
        await rpc(service).Unsubscribe(request)
    get = preference_service_pb2.GetPreferencesRequest(user_id="me")
    found = await rpc(service).GetPreferences(get, metadata=as_user(service, user))
    assert [(m.category, m.channel) for m in found.muted] == [(CATEGORY_ORDERS, CHANNEL_EMAIL)]
    assert found.etag == "1"
    for broken in (token[:-2], token[::-1], "x"):
        request.token = broken
        await assert_refused(rpc(service).Unsubscribe(request), "UNSUBSCRIBE_TOKEN_INVALID")


@pytest.mark.logs_errors("job_dead")
async def test_operators_find_a_suppression_by_its_address_and_remove_it(service: Service) -> None:
    user = service.users.add(ids.new("usr"), "Ann@example.com")
    service.receiver.recipient_responses = ["550 5.1.1 no such user"]
    await service.publish(events.refunded(user))
    await service.wait_until_idle()
    stub = suppression_service_pb2_grpc.SuppressionServiceStub(service.running.channel)
    operator = as_operator(service)

    async def found(address: str) -> list[suppression_service_pb2.Suppression]:
        request = suppression_service_pb2.ListSuppressionsRequest(address=address, channel=CHANNEL_EMAIL)
        return list((await stub.ListSuppressions(request, metadata=operator)).suppressions)

    (suppression,) = await found("ann@EXAMPLE.com")
    assert suppression.reason == suppression_service_pb2.SUPPRESSION_REASON_HARD_BOUNCE
    assert await found("bob@example.com") == []
    remove = suppression_service_pb2.RemoveSuppressionRequest(suppression_id=suppression.suppression_id)
    await stub.RemoveSuppression(remove, metadata=operator)
    await assert_refused(stub.RemoveSuppression(remove, metadata=operator), "SUPPRESSION_NOT_FOUND")
    await service.publish(events.refunded(user))
    await service.wait_until_idle()
    assert len(service.receiver.mails) == 1
