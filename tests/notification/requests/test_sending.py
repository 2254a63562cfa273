"""What partners and operators send on request: accepted at once, sent in order of preference, read, cancelled, retried."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from weft.api.v1 import mode_pb2
from weft.notification.v1 import inbox_service_pb2
from weft.notification.v1 import notification_service_pb2 as pb
from weft.notification.v1.category_pb2 import (
    CATEGORY_ACCOUNT,
    CATEGORY_MARKETING,
    CHANNEL_EMAIL,
    CHANNEL_INBOX,
    CHANNEL_SMS,
)
from weft.notification.v1.notification_pb2 import Content, NotificationState, Recipient

from chassis import ids
from chassis.clock import FixedClock
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start
from tests.notification.requests.calls import ACME, Caller, at, customer

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.logs_errors("job_dead")
async def test_a_message_goes_by_the_first_channel_that_works(service: Service) -> None:
    acme, user = Caller(service), customer(service, display_name="Ann", locale="de-AT")
    nobody = Recipient(email="nobody@example.com")
    sent = await acme.send(user, nobody, channels=[CHANNEL_SMS, CHANNEL_EMAIL, CHANNEL_INBOX], metadata={"order": "7"})
    first, second = sent.notifications
    assert (first.recipient, second.recipient) == (user, nobody)
    assert (dict(first.metadata), list(first.channels)) == ({"order": "7"}, [CHANNEL_SMS, CHANNEL_EMAIL, CHANNEL_INBOX])
    await service.wait_until_idle()
    # No provider of text messages is configured.
    passed = [("SKIPPED", "NOT_CONFIGURED"), ("SENT", ""), ("SKIPPED", "NOT_NEEDED")]
    assert await acme.parts(first.notification_id) == passed
    assert await acme.parts(second.notification_id) == passed
    assert await acme.state(first.notification_id) == "SENT"
    mails = {str(mail["To"]): mail for mail in service.receiver.mails}
    assert set(mails) == {f"Ann <{user.user_id}@example.com>", "nobody@example.com"}
    mail = mails["nobody@example.com"]
    assert mail["Subject"] == "Your parcel"
    assert "List-Unsubscribe" in mail
    assert "At &lt;the&gt; desk." in mail.get_body(("html",)).get_content()
    (attempt,) = (await acme.deliveries(second.notification_id))[1].attempts
    assert (attempt.number, attempt.provider, attempt.response_status) == (1, "smtp:127.0.0.1", 250)

    # A refused address: the next channel has it, and then everything can be sent again.
    service.receiver.recipient_responses = ["550 5.7.1 not you"]
    (third,) = (await acme.send(user, channels=[CHANNEL_EMAIL, CHANNEL_INBOX])).notifications
    await service.wait_until_idle()
    assert await acme.parts(third.notification_id) == [("FAILED", "REFUSED"), ("SENT", "")]
    inbox = await service.inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=service.as_user(user.user_id))
    assert [(item.title, item.body, item.type) for item in inbox.items] == [("Your parcel", "It waits.", "message")]
    failed, shown = await acme.deliveries(third.notification_id)
    await assert_refused(acme.retry(shown), "DELIVERY_NOT_RETRIABLE")
    again = await acme.retry(failed)
    assert (again.state, again.reason, len(again.attempts)) == (NotificationState.NOTIFICATION_STATE_QUEUED, "", 1)
    await service.wait_until_idle()
    assert await acme.parts(third.notification_id) == [("SENT", ""), ("SENT", "")]
    assert [each.number for each in (await acme.deliveries(third.notification_id))[0].attempts] == [1, 2]

    # All that match a filter.
    service.receiver.recipient_responses = ["550 5.7.1 not you"] * 2
    for _ in range(2):
        await acme.send(user)
    await service.wait_until_idle()
    counted = await acme.rpc.RetryDeliveries(pb.RetryDeliveriesRequest(reason="REFUSED"), metadata=acme.metadata)
    assert (counted.retried_count, counted.refused_count, counted.more) == (2, 0, False)
    other = Caller(service, ids.new("prt"))
    others = await other.rpc.RetryDeliveries(pb.RetryDeliveriesRequest(), metadata=other.metadata)
    assert others.retried_count == 0
    await service.wait_until_idle()
    assert {state for state, _ in await service.states()} == {"SENT", "SKIPPED"}

    # Every channel, for who has only one of them.
    (every,) = (await acme.send(nobody, channels=[CHANNEL_INBOX, CHANNEL_EMAIL], every_channel=True)).notifications
    await service.wait_until_idle()
    assert await acme.parts(every.notification_id) == [("SKIPPED", "NO_ADDRESS"), ("SENT", "")]

    # Lists: by state, category and user; another partner and the other mode have none of it.
    async def listed(who: Caller, **filters: Any) -> int:
        found = await who.rpc.ListNotifications(pb.ListNotificationsRequest(**filters), metadata=who.metadata)
        return len(found.notifications)

    assert await listed(acme) == 6
    assert await listed(acme, state=NotificationState.NOTIFICATION_STATE_SENT, user_id=user.user_id) == 4
    assert await listed(acme, category=CATEGORY_MARKETING) == 0
    assert await listed(other) == await listed(Caller(service, mode="TEST")) == 0
    assert await listed(Caller(service, "")) == 6
    # Nothing of a person stands in the clear.
    (row,) = await service.rows("SELECT string_agg(n::text, ' ') AS everything FROM notifications n")
    assert "nobody@example.com" not in row.everything
    assert "waits" not in row.everything


async def test_time_decides_what_is_sent(start: Start) -> None:
    clock = FixedClock(NOW)
    async with start(clock=clock) as service:
        acme, user = Caller(service), customer(service)

        async def send(**more: Any) -> str:
            return str((await acme.send(user, **more)).notifications[0].notification_id)

        later, dropped = at(NOW + timedelta(hours=1)), at(NOW + timedelta(hours=2))
        waiting, cancelled = await send(send_at=later), await send(send_at=later)
        shown = await send(send_at=later, channels=[CHANNEL_INBOX])
        await service.wait_until_idle()
        assert [await acme.state(one) for one in (waiting, cancelled)] == ["SCHEDULED"] * 2
        assert (await acme.cancel(cancelled)).state == NotificationState.NOTIFICATION_STATE_CANCELLED
        await assert_refused(acme.cancel(cancelled), "NOTIFICATION_NOT_CANCELLABLE")
        unread = await service.inbox.CountUnread(
            inbox_service_pb2.CountUnreadRequest(), metadata=service.as_user(user.user_id)
        )
        assert (service.receiver.mails, unread.count) == ([], 0)
        clock.advance(timedelta(hours=1, minutes=1))
        await service.wait_until_idle()
        assert [await acme.state(one) for one in (waiting, cancelled, shown)] == ["SENT", "CANCELLED", "SENT"]
        assert len(service.receiver.mails) == 1
        await assert_refused(acme.cancel(waiting), "NOTIFICATION_NOT_CANCELLABLE")

        # What cannot be sent before it is of no use never is.
        service.receiver.recipient_responses = ["451 4.3.0 later"] * 50
        expiring = await send(expire_at=dropped)
        await service.wait_until_idle()
        clock.advance(timedelta(hours=2))
        await service.wait_until_idle()
        assert await acme.parts(expiring) == [("EXPIRED", "")]

        # One of a key within the window, whoever repeats it; other recipients and partners have keys of their own.
        service.receiver.recipient_responses.clear()
        one = await send(dedupe_key="parcel", dedupe_window_s=60)
        repeated = await acme.send(user, dedupe_key="parcel", dedupe_window_s=60)
        assert repeated.notifications[0].duplicate_of == one
        assert await acme.parts(repeated.notifications[0].notification_id) == [("SKIPPED", "DUPLICATE")]
        other = await acme.send(customer(service), dedupe_key="parcel")
        assert other.notifications[0].duplicate_of == ""
        clock.advance(timedelta(seconds=61))
        assert (await acme.send(user, dedupe_key="parcel")).notifications[0].duplicate_of == ""
        await service.wait_until_idle()
        assert len(service.receiver.mails) == 4

        # A key of the call: the same reply, and no second message.
        kept = await acme.send(user, key="k1")
        assert await acme.send(user, key="k1") == kept
        await service.wait_until_idle()
        assert len(service.receiver.mails) == 5


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"content": Content(text="x")}, "content.subject"),
        ({"content": Content(subject="x")}, "content.text"),
        ({"content": Content(text="ж" * 300), "channels": [CHANNEL_SMS]}, "content.text"),
        ({"expire_at": at(NOW), "send_at": at(NOW + timedelta(hours=1))}, "expire_at"),
        ({"send_at": at(datetime(2099, 1, 1, tzinfo=UTC))}, "send_at"),
        ({"to": [Recipient(email='"=?utf-8?q?x?="@example.com')]}, "recipients[0].email"),
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused_by_field(
    service: Service, more: dict[str, Any], field: str
) -> None:
    to = more.pop("to", [Recipient(email="a@example.com")])
    await assert_refused(Caller(service).send(*to, **more), "REQUEST_INVALID", violations={field: ""})


async def test_partners_reach_their_own_customers_only(service: Service) -> None:
    acme = Caller(service)
    for stranger in (customer(service, ids.new("prt")), customer(service, mode="TEST"), customer(service, "")):
        await assert_refused(acme.send(stranger), "RECIPIENT_NOT_FOUND", user_id=stranger.user_id)
    await assert_refused(acme.send(customer(service), category=CATEGORY_ACCOUNT), "CATEGORY_NOT_ALLOWED")
    # An operator reaches everybody.
    operator = Caller(service, "")
    await operator.send(customer(service), category=CATEGORY_ACCOUNT)
    twice = await acme.send(*[Recipient(email="a@example.com")] * 2)
    assert len(twice.notifications) == 1
    await service.wait_until_idle()
    assert len(service.receiver.mails) == 2
    service.users.down = True
    await assert_refused(acme.send(customer(service)), "SERVICE_UNAVAILABLE")
    service.users.down = False


async def test_test_mode_captures_what_it_would_have_sent(service: Service) -> None:
    acme, user = Caller(service, mode="TEST"), customer(service, mode="TEST", display_name="Tess", locale="de")
    (sent,) = (await acme.send(user, channels=[CHANNEL_EMAIL, CHANNEL_SMS])).notifications
    # Without a number the next channel follows, as it would in LIVE.
    elsewhere = await acme.send(user, Recipient(email="x@example.com"), channels=[CHANNEL_SMS, CHANNEL_EMAIL])
    await service.publish(
        events.confirmed(user.user_id, partner_id=ACME, mode=mode_pb2.MODE_TEST),
        events.confirmed(user.user_id, partner_id=ids.new("prt"), mode=mode_pb2.MODE_TEST),
    )
    await service.wait_until_idle()
    assert await acme.parts(sent.notification_id) == [("SKIPPED", "TEST_MODE"), ("SKIPPED", "NO_ADDRESS")]
    for each in elsewhere.notifications:
        assert await acme.parts(each.notification_id) == [("SKIPPED", "NO_ADDRESS"), ("SKIPPED", "TEST_MODE")]
    # What is tried again, now that there is an address, is not sent either.
    service.users.by_id[user.user_id].email = ""
    (again,) = (await acme.send(user)).notifications
    service.users.by_id[user.user_id].email = f"{user.user_id}@example.com"
    (delivery,) = await acme.deliveries(again.notification_id)
    assert (await acme.retry(delivery)).state == NotificationState.NOTIFICATION_STATE_QUEUED
    await service.wait_until_idle()
    assert await acme.parts(again.notification_id) == [("SKIPPED", "TEST_MODE")]
    listed = await acme.rpc.ListCaptured(pb.ListCapturedRequest(), metadata=acme.metadata)
    assert [message.recipient_address for message in listed.messages].count("x@example.com") == 1
    assert {message.channel for message in listed.messages} == {CHANNEL_EMAIL}
    assert {message.type for message in listed.messages} == {"order.confirmed", "message"}
    by_type = {message.type: message for message in listed.messages}
    assert by_type["message"].content.subject == "Your parcel"
    assert by_type["message"].recipient_address == f"{user.user_id}@example.com"
    assert "Tess" in by_type["order.confirmed"].content.text
    page = await acme.rpc.ListCaptured(pb.ListCapturedRequest(page_size=1), metadata=acme.metadata)
    rest = pb.ListCapturedRequest(page_size=1, page_token=page.next_page_token)
    assert (await acme.rpc.ListCaptured(rest, metadata=acme.metadata)).messages[0] != page.messages[0]
    live = Caller(service)
    nothing = await live.rpc.ListCaptured(pb.ListCapturedRequest(), metadata=live.metadata)
    assert list(nothing.messages) == []
    assert service.receiver.mails == []
