"""What people have chosen is asked for when a message is sent; what cannot be muted is sent all the same."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from google.api.httpbody_pb2 import HttpBody
from weft.api.v1.event_pb2 import Event
from weft.notification.v1 import (
    inbox_service_pb2,
    preference_service_pb2,
    preference_service_pb2_grpc,
    suppression_service_pb2,
    suppression_service_pb2_grpc,
)
from weft.notification.v1.category_pb2 import (
    CATEGORY_ACCOUNT,
    CATEGORY_MARKETING,
    CATEGORY_ORDERS,
    CHANNEL_EMAIL,
    CHANNEL_INBOX,
    CHANNEL_SMS,
)
from weft.notification.v1.preferences_pb2 import Muted, Preferences, QuietHours

from chassis import ids
from chassis.clock import FixedClock
from services.notification.preferences.domain import QuietHours as Hours
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start

MIDNIGHT_IN_VIENNA = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
SCOPES = "users.read users.write inbox.read"


def rpc(service: Service):
    return preference_service_pb2_grpc.PreferenceServiceStub(service.running.channel)


def as_user(service: Service, user: str) -> list[tuple[str, str]]:
    return [("authorization", service.harness.issuer.user(user, SCOPES))]


def as_operator(service: Service) -> list[tuple[str, str]]:
    scopes = "notifications.read notifications.send"
    return [("authorization", service.harness.issuer.operator(ids.new("usr"), scopes))]


async def update(service: Service, user: str, **fields):
    request = preference_service_pb2.UpdatePreferencesRequest(preferences=Preferences(user_id="me", **fields))
    return await rpc(service).UpdatePreferences(request, metadata=as_user(service, user))


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


@pytest.mark.parametrize(
    ("chosen", "bounced", "event", "expected"),
    [
        ({}, False, ORDER, ("SENT", "")),
        (MUTED, False, ORDER, ("SKIPPED", "PREFERENCE")),
        (OTHERS_MUTED, False, ORDER, ("SENT", "")),
        (MUTED, False, RECEIPT, ("SENT", "")),
        (QUIET, False, ORDER, ("SKIPPED", "QUIET_HOURS")),
        (QUIET_ELSEWHERE, False, ORDER, ("SENT", "")),
        (QUIET, False, RECEIPT, ("SENT", "")),
        (QUIET, False, WARNING, ("SENT", "")),
        ({}, True, ORDER, ("SKIPPED", "SUPPRESSED")),
        ({}, True, WARNING, ("SKIPPED", "SUPPRESSED")),
    ],
)
@pytest.mark.logs_errors("job_dead")
async def test_a_message_that_is_not_wanted_is_skipped_and_says_why(
    start: Start,
    chosen: dict[str, object],
    bounced: bool,
    event: Callable[[str], Event],
    expected: tuple[str, str],
) -> None:
    clock = FixedClock(MIDNIGHT_IN_VIENNA)
    async with start(clock=clock) as service:
        user = service.users.add(ids.new("usr"), time_zone="Europe/Vienna")
        if bounced:
            service.receiver.recipient_responses = ["550 5.1.1 no such user"]
            await service.publish(events.refunded(user))
            await service.wait_until_idle()
            assert (await service.states())[0] == ("FAILED", "ADDRESS_UNUSABLE")
            clock.advance(timedelta(seconds=1))  # ids of one millisecond have no order
        if chosen:
            await update(service, user, **chosen)
        await service.publish(event(user))
        await service.wait_until_idle()
        assert (await service.states())[-1] == expected
        assert len(service.receiver.mails) == (expected[0] == "SENT")


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
    assert (fresh.user_id, fresh.etag, list(fresh.muted), fresh.HasField("update_time")) == (user, "v0", [], False)
    changed = await update(service, user, etag="v0", **MUTED, **QUIET)
    assert (changed.etag, changed.quiet_hours.start) == ("v1", "22:00")
    await assert_refused(update(service, user, etag="v0", **MUTED), "ETAG_MISMATCH")
    cleared = preference_service_pb2.UpdatePreferencesRequest(preferences=Preferences(user_id=user))
    cleared.update_mask.paths.extend(["quiet_hours"])
    without = await rpc(service).UpdatePreferences(cleared, metadata=as_user(service, user))
    assert (without.HasField("quiet_hours"), len(without.muted)) == (False, 1)
    for wrong, field in (
        ({"muted": [Muted(category=CATEGORY_ACCOUNT, channel=CHANNEL_EMAIL)]}, "preferences.muted[0].category"),
        ({"quiet_hours": QuietHours(start="22:00", end="22:00")}, "preferences.quiet_hours.end"),
        ({"quiet_hours": QuietHours(start="22:00", end="07:00", time_zone="x")}, "preferences.quiet_hours.time_zone"),
    ):
        await assert_refused(update(service, user, **wrong), "REQUEST_INVALID", [field])


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
    assert found.etag == "v1"
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
