"""From an event to a mail in a mailbox."""

import re
import time

import pytest
from weft.notification.v1 import inbox_service_pb2
from weft.order.v1 import events_pb2 as orders
from weft.order.v1.fulfilment_pb2 import Shipment

from chassis import ids
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start
from tests.notification.deliveries.mails import HEADERS, INJECTION

ANN = ids.new("usr")
SIGN_UP = ids.new("sgn")


async def test_a_confirmed_order_is_mailed_to_its_customer(service: Service) -> None:
    service.users.add(ANN, "ann@example.com", display_name="Ann Müller", locale="en")
    event = events.confirmed(ANN, "ord_1")
    await service.publish(event)
    await service.wait_until_idle()
    (mail,) = service.receiver.mails
    assert service.receiver.envelopes == [("no-reply@weft.local", ["ann@example.com"])]
    assert mail["To"] == "Ann Müller <ann@example.com>"
    assert mail["Subject"] == "Your order ord_1 is confirmed"
    assert service.receiver.text() == "Hello Ann Müller,\n\nyour order ord_1 for 42.00 EUR is confirmed. Thank you.\n"
    (delivery,) = await service.rows("SELECT delivery_id, state, reason FROM deliveries")
    assert mail["Message-ID"] == f"<{delivery.delivery_id}@weft.local>"
    assert (delivery.state, delivery.reason) == ("SENT", "")
    assert await service.attempts() == [(1, 250, "accepted")]


async def test_a_mail_speaks_its_recipients_language(service: Service) -> None:
    service.users.add(ANN, locale="de-AT")
    await service.publish(events.confirmed(ANN, "ord_1"))
    await service.wait_until_idle()
    assert "Ihre Bestellung ord_1 über 42,00 EUR ist bestätigt." in service.receiver.text()
    shipment = Shipment(carrier="DHL", tracking_number="00340")
    story = [
        orders.OrderShipped(order_id="ord_1", shipment=shipment),
        orders.OrderDelivered(order_id="ord_1", complete=True),
        orders.OrderUpdated(order_id="ord_1", fields=["shipping_address"]),
        orders.OrderReturnRequested(order_id="ord_1"),
        orders.OrderReturnApproved(order_id="ord_1"),
        orders.OrderReturnRefused(order_id="ord_1"),
        orders.OrderReturnReceived(order_id="ord_1", refund=events.EUR),
        orders.PaymentActionRequired(order_id="ord_1", next_action="https://bank.example/secret"),
    ]
    named = [re.sub(r"(?<=[a-z])(?=[A-Z])", ".", type(told).__name__, count=1) for told in story]
    types = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in named]
    await service.publish(
        *(events.made(t, told, user_id=ANN, aggregate_id="ord_1") for t, told in zip(types, story, strict=True))
    )
    await service.wait_until_idle()
    assert {mail["Subject"] for mail in service.receiver.mails[1:]} == {
        "Ein Teil Ihrer Bestellung ord_1 ist unterwegs",
        "Ihre Bestellung ord_1 wurde zugestellt",
        "Ihre Rücksendung zur Bestellung ord_1 ist genehmigt",
        "Ihre Rücksendung zur Bestellung ord_1 ist abgelehnt",
    }
    german = [*service.as_user(ANN), ("accept-language", "de")]
    items = (await service.inbox.ListInbox(inbox_service_pb2.ListInboxRequest(), metadata=german)).items
    said = {item.type: f"{item.title}: {item.body}" for item in items}
    assert sorted(said) == sorted(["order.confirmed", *types])
    assert said["order.shipped"].endswith("Ein Teil der Bestellung ord_1 ist unterwegs, Sendungsnummer 00340.")
    assert said["order.return_received"].endswith("ist eingetroffen; 42,00 EUR werden erstattet.")
    assert "bank.example" not in said["payment.action_required"]


async def test_a_locale_of_240_000_characters_holds_nobody_up(service: Service) -> None:
    bob = service.users.add(ids.new("usr"), locale="DE")
    service.users.add(ANN, locale="en" + "-aa" * 80_000)
    started = time.process_time()
    await service.publish(events.confirmed(ANN), events.confirmed(bob))
    await service.wait_until_idle()
    assert time.process_time() - started < 2
    assert sorted(mail["Content-Language"] for mail in service.receiver.mails) == ["de", "en"]


async def test_a_name_that_is_an_encoded_word_is_shown_and_brings_no_headers(service: Service) -> None:
    service.users.add(ANN, "ann@example.com", display_name=INJECTION)
    await service.publish(events.confirmed(ANN))
    await service.wait_until_idle()
    (mail,) = service.receiver.mails
    assert sorted(mail.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert service.receiver.text().startswith(f"Hello {INJECTION},")


async def test_customers_of_partners_get_mails_too(service: Service) -> None:
    service.users.add(ANN, partner_id=ids.new("prt"))
    await service.publish(events.confirmed(ANN, partner_id=ids.new("prt")))
    await service.wait_until_idle()
    assert await service.states() == [("SENT", "")]


@pytest.mark.parametrize("event", [events.signed_up, events.verification_requested])
async def test_a_verification_mail_has_a_code_issued_for_it_and_no_name(service: Service, event) -> None:
    service.users.sign_up(SIGN_UP, "ann@example.com")
    await service.publish(event(SIGN_UP))
    await service.wait_until_idle()
    assert service.users.codes == {SIGN_UP: ["10000001"]}
    assert re.findall(r"\b\d{8}\b", service.receiver.text()) == ["10000001"]
    assert "until 2026-11-25 12:00 UTC" in service.receiver.text()
    assert service.receiver.text().startswith("Hello,\n")
    assert service.receiver.mails[0]["To"] == "ann@example.com"
    assert service.users.batches == []


async def test_a_verification_mail_speaks_the_language_that_was_asked_for(service: Service) -> None:
    service.users.sign_up(SIGN_UP, locale="de-AT")
    await service.publish(events.signed_up(SIGN_UP))
    await service.wait_until_idle()
    assert service.receiver.mails[0]["Subject"] == "Bestätigen Sie Ihre Adresse"


async def test_a_sign_up_that_has_ended_gets_no_code(service: Service) -> None:
    await service.publish(events.signed_up(SIGN_UP))
    await service.wait_until_idle()
    assert service.receiver.mails == []
    assert await service.states() == [("SKIPPED", "REQUEST_ENDED")]
    assert await service.jobs() == []


async def test_a_verification_mail_that_the_release_before_has_put_is_skipped(start: Start) -> None:
    async with start(work=False) as service:
        service.users.sign_up(SIGN_UP)
        await service.publish(events.signed_up(SIGN_UP))
        await service.rows("UPDATE notifications SET data = '{}' RETURNING 1")
        await service.worker("email_jobs").once()
        assert await service.states() == [("SKIPPED", "REQUEST_ENDED")]


async def test_a_sign_up_with_an_address_that_has_an_account_mails_its_owner_and_contains_no_code(
    service: Service,
) -> None:
    service.users.sign_up(SIGN_UP, "ann@example.com", has_account=True)
    await service.publish(events.signed_up(SIGN_UP))
    await service.wait_until_idle()
    (mail,) = service.receiver.mails
    assert (mail["Subject"], mail["To"]) == ("You already have an account", "ann@example.com")
    assert service.receiver.text().startswith("Hello,\n")
    assert service.users.codes == {}


async def test_a_person_whom_an_operator_adds_is_asked_to_sign_up(service: Service) -> None:
    service.users.add(ANN, state="INITIAL", display_name="Ann")
    await service.publish(events.invited(ANN))
    await service.wait_until_idle()
    assert service.receiver.mails[0]["Subject"] == "An account is ready for you"
    assert service.receiver.text().startswith("Hello,\n")


async def test_a_user_who_is_gone_gets_nothing(service: Service) -> None:
    await service.publish(events.confirmed(ANN), events.invited(ANN))
    await service.wait_until_idle()
    assert await service.states() == [("SKIPPED", "NO_ADDRESS")] * 2
    assert service.receiver.mails == []


@pytest.mark.logs_errors("job_dead")
async def test_nothing_personal_in_a_mail_is_stored_or_logged(service: Service, capfd) -> None:
    service.users.add(ANN, "canary-address@example.com", display_name="Canary Name")
    service.users.sign_up(SIGN_UP, "canary-address@example.com")
    service.receiver.recipient_responses = ["550 <canary-address@example.com> Canary", "450 canary-address@example.com"]
    await service.publish(*(made for _ in range(2) for made in (events.confirmed(ANN), events.signed_up(SIGN_UP))))
    await service.wait_until_idle()
    stored = ""
    for table in service.app.metadata.tables:
        stored += str(await service.rows(f"SELECT t::text FROM {table} t"))
    logged = "".join(capfd.readouterr())
    assert ANN in stored
    for secret in ("canary-address", "Canary Name", *service.users.codes[SIGN_UP]):
        assert secret not in stored
        assert secret not in logged
