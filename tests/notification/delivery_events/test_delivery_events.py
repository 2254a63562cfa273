"""What providers say later: signed as theirs, in any order, once, before and after what we know ourselves."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from weft.notification.v1.category_pb2 import CHANNEL_EMAIL, CHANNEL_INBOX, CHANNEL_SMS
from weft.notification.v1.notification_pb2 import Recipient

from chassis import ids
from chassis.clock import FixedClock
from chassis.settings import SettingsError
from deploy.local.components import callbacks, sms_sink
from deploy.local.state.credentials import public_key
from services.notification.channels.sms.twilio import parse_sms_url
from services.notification.deliveries.domain import DeliveryState, Reason
from services.notification.delivery_events.domain import EventMalformed, EventSignatureInvalid, Kind, end_of
from services.notification.delivery_events.sendgrid import MAX_AGE_S, SIGNATURE, TIMESTAMP, SendGridEvents
from services.notification.delivery_events.twilio import TwilioCallbacks, callback_url, sign
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Start
from tests.notification.delivery_events.calls import KEY, URL, Told
from tests.notification.smtp import HANG_UP, until
from tests.notification.texts import PASSWORD, PHONE, Provider

D, S, H, O, C = Kind.DELIVERED, Kind.SOFT_BOUNCE, Kind.HARD_BOUNCE, Kind.OPTED_OUT, Kind.COMPLAINT  # noqa: E741


def test_signatures_are_those_of_the_providers_own_libraries() -> None:
    form = {
        "From": "+14158675309",
        "To": "+18005551212",
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
    }
    assert sign("https://mycompany.com/myapp.php?foo=1&bar=2", form, b"12345") == b"RSOYDt4T1cUTdK1PDd93/VVr8B8="
    key = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM"
        "/QmGUhA=="
    )
    body = b'{"category":"example_payload","event":"test_event","message_id":"message_id"}'
    headers = {
        SIGNATURE: "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0=",
        TIMESTAMP: "1588788367",
    }
    with pytest.raises(EventMalformed):  # it is signed, and no list
        SendGridEvents([public_key(KEY), key]).read(body, headers.__getitem__, "", 1588788367)
    with pytest.raises(EventSignatureInvalid):
        SendGridEvents([key]).read(body + b" ", headers.__getitem__, "", 1588788367)
    for wrong in ("", "x", "AAAA", public_key(KEY)[:-8]):
        with pytest.raises(SettingsError, match="WEFT_SENDGRID_EVENT_KEYS"):
            SendGridEvents([wrong])


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ([("m1", D)], ("DELIVERED", "")),
        ([("m1", D), ("m1", H)], ("BOUNCED", "ADDRESS_UNUSABLE")),  # the server took it first
        ([("m1", S), ("m1", H)], ("BOUNCED", "ADDRESS_UNUSABLE")),
        ([("m1", S), ("m1", O)], ("BOUNCED", "OPTED_OUT")),
        ([("m1", S), ("m2", D)], ("DELIVERED", "")),  # it was sent twice
        ([("m1", D), ("m1", S), ("m2", H)], ("BOUNCED", "ADDRESS_UNUSABLE")),
        ([("m1", D), ("m1", C)], ("DELIVERED", "")),
    ],
)
@pytest.mark.parametrize("first", [DeliveryState.SENDING, DeliveryState.SENT])
def test_events_come_to_the_same_in_any_order_and_however_often(
    said: list[tuple[str, Kind]], end: tuple[str, str], first: DeliveryState
) -> None:
    for order in itertools.permutations([*said, said[0]]):
        state, reason = first, Reason.NONE
        for number in range(1, len(order) + 1):
            state, reason = end_of(state, reason, order[:number], repeated=False)
        assert (state.value, reason.value) == end, order


def test_a_bounce_does_not_end_what_is_under_way_again() -> None:
    for state in (DeliveryState.QUEUED, DeliveryState.FAILED, DeliveryState.CANCELLED):
        assert end_of(state, Reason.NONE, [("m1", H)], repeated=True) == (state, Reason.NONE)
        assert end_of(state, Reason.NONE, [("m1", D)], repeated=True)[0] is DeliveryState.DELIVERED
    sending = (DeliveryState.SENDING, Reason.NONE)
    assert end_of(*sending, [("m1", H)], repeated=True) == sending


@pytest.fixture
def settings(provider: Provider) -> dict[str, Any]:
    return {**provider.settings, "sendgrid_event_keys": [public_key(KEY)]}


async def test_text_messages_arrive_bounce_and_are_stopped(start: Start, settings: dict[str, Any]) -> None:
    async with start(**settings) as service:
        told = Told(service)
        phone = Recipient(phone=PHONE)
        notification, delivery = await told.send(phone, CHANNEL_SMS)
        await service.wait_until_idle()
        assert await told.after(notification) == ([("SENT", "")], [])
        await told.twilio(delivery, "sent")
        for _ in range(2):
            await told.twilio(delivery, "delivered", sid=f"SM{7:032x}")
        assert await told.after(notification) == ([("DELIVERED", "")], ["DELIVERED"])
        assert await told.acme.state(notification) == "DELIVERED"
        for number, code, end, kind, after in (
            ("+43660000001", "30003", ("BOUNCED", "REFUSED"), "SOFT_BOUNCE", ("SENT", "")),
            ("+43660000002", "30005", ("BOUNCED", "ADDRESS_UNUSABLE"), "HARD_BOUNCE", ("SKIPPED", "SUPPRESSED")),
            ("+43660000003", "21610", ("BOUNCED", "OPTED_OUT"), "OPTED_OUT", ("SKIPPED", "SUPPRESSED")),
        ):
            notification, delivery = await told.send(Recipient(phone=number), CHANNEL_SMS)
            await service.wait_until_idle()
            await told.twilio(delivery, "undelivered", code, to=number)
            assert await told.after(notification) == ([end], [kind])
            notification, _ = await told.send(Recipient(phone=number), CHANNEL_SMS)
            await service.wait_until_idle()
            assert await told.after(notification) == ([after], [])


async def test_a_batch_of_events_of_mails_is_taken_whatever_its_neighbours_are(
    start: Start, settings: dict[str, Any]
) -> None:
    async with start(**settings) as service:
        told = Told(service)
        addresses = [f"{name}@example.com" for name in ("ann", "bob", "cho", "dan")]
        sent = [await told.send(Recipient(email=address)) for address in addresses]
        await service.wait_until_idle()
        assert {str(mail["X-SMTPAPI"]).count("dlv_") for mail in service.receiver.mails} == {1}
        (_, ann), (_, bob), (_, cho), (_, dan) = sent
        complaint = told.event("", "spamreport", email="Cho@example.com", delivery_id=cho)  # has no Message-ID
        batch: list[Any] = [
            told.event(ann, "delivered", email=addresses[0]),
            told.event(bob, "bounce", type="bounce", email=addresses[1], reason="550 5.1.1 none"),
            complaint,
            told.event(dan, "bounce", type="blocked", email=addresses[3]),
            told.event(dan, "deferred", email=addresses[3]),
            told.event(ids.new("dlv"), "bounce", type="bounce", email="eve@example.com"),
            told.event(f"{ann}x", "bounce", type="bounce", email="eve@example.com"),
            {"event": ["bounce"], "sg_event_id": 7, "smtp-id": {}},
            {**told.event(ann, "bounce"), "sg_event_id": "\0"},
            {**told.event(ann, "bounce"), "sg_event_id": "é" * 1000},
            {**told.event(ann, "bounce"), "sg_message_id": "x" * 300},
            7,
        ]
        await told.sendgrid(*batch)
        largest = [*batch, *(told.event(ids.new("dlv"), "delivered", response="x" * 300) for _ in range(1755))]
        assert 768 * 1024 < len(json.dumps(largest)) < 800_000, "the largest that SendGrid posts"
        await told.sendgrid(*largest)
        assert [await told.after(notification) for notification, _ in sent] == [
            ([("DELIVERED", "")], ["DELIVERED"]),
            ([("BOUNCED", "ADDRESS_UNUSABLE")], ["HARD_BOUNCE"]),
            ([("DELIVERED", "")], ["COMPLAINT"]),
            ([("BOUNCED", "REFUSED")], ["SOFT_BOUNCE"]),
        ]
        rows = await service.rows("SELECT reason, delivery_id FROM suppressions ORDER BY reason")
        assert [tuple(row) for row in rows] == [("COMPLAINT", cho), ("HARD_BOUNCE", bob)]
        # Of a text message nothing is believed that is said of a mail.
        _, text = await told.send(Recipient(phone=PHONE), CHANNEL_SMS)
        await service.wait_until_idle()
        await told.sendgrid(told.event(text, "bounce", type="bounce", email="eve@example.com"))
        await told.twilio(ann, "undelivered", "30005")
        assert len(await service.rows("SELECT 1 FROM suppressions")) == 2
        assert (await told.after(sent[0][0]))[1] == ["DELIVERED"]


async def test_an_event_may_be_faster_than_the_answer(start: Start, settings: dict[str, Any]) -> None:
    async with start(**settings) as service:
        told, receiver = Told(service), service.receiver
        receiver.stalled = asyncio.Event()
        to = [Recipient(email=f"{name}@example.com") for name in ("ann", "bob")]
        arrived, ann = await told.send(to[0], CHANNEL_EMAIL, CHANNEL_INBOX)
        bounced, bob = await told.send(to[1], CHANNEL_EMAIL, CHANNEL_SMS)
        await until(lambda: receiver.waiting == 2)
        await told.sendgrid(
            told.event(ann, "delivered"), told.event(bob, "bounce", type="bounce", email="bob@example.com")
        )
        receiver.stalled.set()
        receiver.stalled = None
        await service.wait_until_idle()
        assert (await told.after(arrived))[0] == [("DELIVERED", ""), ("SKIPPED", "NOT_NEEDED")]
        # There is no number: but the next channel was asked.
        assert (await told.after(bounced))[0] == [("BOUNCED", "ADDRESS_UNUSABLE"), ("SKIPPED", "NO_ADDRESS")]
        for notification in (arrived, bounced):
            (attempt,) = (await told.acme.deliveries(notification))[0].attempts
            assert attempt.response_status == 250


async def test_what_has_arrived_is_not_sent_again_though_its_answer_was_lost(
    start: Start, clock: FixedClock, settings: dict[str, Any]
) -> None:
    async with start(clock=clock, **settings) as service:
        told = Told(service)
        service.receiver.data_responses = [HANG_UP, HANG_UP]
        notification, delivery = await told.send(Recipient(email="ann@example.com"))
        await service.wait_until_idle()
        assert await told.acme.state(notification) == "QUEUED"
        await told.sendgrid(told.event(delivery, "delivered"))
        clock.advance(events.MAX_BACKOFF)
        await service.wait_until_idle()
        assert await told.after(notification) == ([("DELIVERED", "")], ["DELIVERED"])
        assert len(service.receiver.mails) == 2


async def test_what_is_not_signed_changes_nothing(start: Start, settings: dict[str, Any]) -> None:
    async with start(**settings) as service:
        told = Told(service)
        (_, ours), (_, other) = [await told.send(Recipient(phone=PHONE), CHANNEL_SMS) for _ in range(2)]
        await service.wait_until_idle()
        form = {"AccountSid": sms_sink.ACCOUNT, "MessageSid": f"SM{1:032x}", "MessageStatus": "delivered", "To": PHONE}
        headers, body = callbacks.twilio(callback_url(URL, ours), form, PASSWORD)
        foreign = callbacks.twilio(callback_url(URL, ours), {**form, "AccountSid": "AC2"}, PASSWORD)
        for signed, changed, delivery in (
            (headers, body, other),
            (headers, body, ""),
            (headers, body + b"&MessageStatus=undelivered", ours),
            (headers, body.replace(b"delivered", b"undelivered"), ours),
            (headers, body + b"\xff", ours),
            (headers, b"&".join([b"a=b"] * 1000), ours),
            (headers, b"a=" + b"%41" * 83_000, ours),  # decoding it would take a second of everybody's
            ({"X-Twilio-Signature": ""}, body, ours),
            (callbacks.twilio(callback_url(URL, ours), form, "other")[0], body, ours),
            (*foreign, ours),
        ):
            await assert_refused(told.call("twilio", signed, changed, delivery), "EVENT_SIGNATURE_INVALID")
        wrong = callbacks.twilio(callback_url(URL, ours), {**form, "MessageStatus": "gone"}, PASSWORD)
        await assert_refused(told.call("twilio", *wrong, ours), "EVENT_MALFORMED")

        now = int(service.app.clock.now().timestamp())
        said = [told.event(ours, "delivered")]
        signed, body = callbacks.sendgrid(said, KEY, now)
        for headers in (
            {**signed, TIMESTAMP: str(now - 1)},
            {name: value for name, value in signed.items() if name.lower() != SIGNATURE},
            callbacks.sendgrid(said, KEY, now - MAX_AGE_S - 5)[0],
            callbacks.sendgrid(said, KEY, now + 900)[0],
            callbacks.sendgrid(said, KEY[::-1], now)[0],
        ):
            metadata = {name.lower(): value for name, value in headers.items()}
            await assert_refused(told.call("sendgrid", metadata, body), "EVENT_SIGNATURE_INVALID")
        await assert_refused(told.call("postmark", signed, body), "PROVIDER_NOT_FOUND")
        assert await service.rows("SELECT 1 FROM delivery_events") == []


def test_a_url_is_signed_with_or_without_its_usual_port() -> None:
    account = parse_sms_url(f"https://{sms_sink.ACCOUNT}:{PASSWORD}@api.twilio.com")
    form = {"AccountSid": account.sid, "MessageSid": f"SM{1:032x}", "MessageStatus": "delivered", "To": PHONE}
    delivery_id = ids.new("dlv")
    for url in (URL, URL.replace("weft.test", "weft.test:443")):
        headers, body = callbacks.twilio(callback_url(url, delivery_id), form, PASSWORD)
        (event,) = TwilioCallbacks([account], URL).read(
            body, lambda _, h=headers: h["X-Twilio-Signature"], delivery_id, 0
        )
        assert (event.kind, event.address, event.delivery_id) == (Kind.DELIVERED, PHONE, delivery_id)
