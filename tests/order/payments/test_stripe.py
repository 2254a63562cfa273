"""Stripe through its SDK: outcomes, faults of the network, and signed events in any order."""

import json

import pytest
from google.api.httpbody_pb2 import HttpBody
from prometheus_client import REGISTRY
from weft.order.v1 import payment_pb2
from weft.order.v1 import payment_service_pb2 as pb
from weft_client.calls.breaker import Breaker

from chassis.clock import FixedClock
from chassis.storage.database import Query
from services.order.payments.gateways.stripe import Stripe
from services.order.payments.provider_events import TOLERANCE_S, sign
from services.order.payments.repository import PaymentRepository
from services.order.payments.worker import PaymentWorker, Provider
from tests.harness import Harness, assert_refused
from tests.order.payments.calls import advance, capture, confirm, ledger, refund, settle, states
from tests.order.payments.stripe_fake import KEY, SECRET, StripeFake
from tests.order.payments.till import (
    ACTION_REQUIRED,
    AUTHORIZED,
    CANCELLED,
    CAPTURED,
    CHARGED_BACK,
    CONFIRMED,
    EXPIRED,
    FAILED,
    MAX_PENDING_TIME,
    PARTIAL,
    PENDING,
    PROCESSING,
    REFUNDED,
    VOIDED,
    Till,
)
from tests.order.shop import Shop

AT_SHIPMENT = payment_pb2.CAPTURE_MODE_AT_SHIPMENT


@pytest.fixture
async def stripe():
    async with StripeFake().serving() as fake:
        yield fake


@pytest.fixture
async def till(harness: Harness, clock: FixedClock, stripe: StripeFake):
    """A till whose LIVE provider is Stripe."""
    settings = {"stripe_key": KEY, "stripe_url": stripe.url, "stripe_webhook_secret": SECRET}
    async with harness.running("order", clock=clock, work=False, **settings) as running:
        made = Till(Shop(running, harness.issuer))
        gateway = Stripe(KEY, stripe.url, "https://shop.example/", timeout=1.0)
        live = Provider(gateway, Breaker("stripe", failures=3, first_pause_s=0.0))
        payments = PaymentRepository(made.shop.database)
        made.worker = PaymentWorker(
            payments, made.orders, live, Provider(made.sandbox, made.breaker), running.app.tracer
        )
        yield made
        await gateway.close()


async def deliver(till: Till, event: dict, secret: str = SECRET, age: int = 0) -> None:
    now = int(till.shop.app.clock.now().timestamp())
    body, signature = StripeFake.signed(event, now - age, secret)
    request = pb.HandleProviderEventRequest(provider="stripe", body=HttpBody(data=body))
    await till.shop.payments.HandleProviderEvent(request, metadata=[("stripe-signature", signature)])


def counted(outcome: str) -> float:
    """How many of Stripe's events came to this, in this process."""
    labels = {"provider": "stripe", "outcome": outcome}
    return REGISTRY.get_sample_value("weft_provider_events_total", labels) or 0.0


async def order(till: Till, method: str = "pm_card_ok", **more):
    return await till.shop.order((await till.shop.product(), 1), method=method, **more)


async def test_a_payment_from_creation_to_dispute(till: Till, stripe: StripeFake) -> None:
    placed = await order(till, "pm_card_action", capture=AT_SHIPMENT)
    await till.run()
    waiting = await till.shop.payment(placed.payment_id)
    assert (waiting.state, waiting.next_action) == (ACTION_REQUIRED, "https://bank.example/3ds")
    (intent_id,) = stripe.intents
    await confirm(till, placed)
    await settle(till)
    assert (await states(till, placed))[1] == ACTION_REQUIRED, "the payer has not acted"
    stripe.act(intent_id)
    await deliver(till, stripe.events[-1])
    await till.run()
    assert await states(till, placed) == (CONFIRMED, AUTHORIZED)
    await capture(till, placed, 700)
    await settle(till)
    await refund(till, placed, 200)
    await settle(till)
    assert stripe.books == [("succeeded", 700, 200)]
    stripe.dispute(intent_id)
    await deliver(till, stripe.events[-1])
    await till.run()
    assert (await states(till, placed))[1] == CHARGED_BACK
    stripe.dispute(intent_id, "won")
    await deliver(till, stripe.events[-1])
    await till.run()
    assert (await states(till, placed))[1] == PARTIAL
    assert await ledger(till, placed) == [
        ("AUTHORIZED", 1000),
        ("CAPTURED", 700),
        ("VOIDED", 300),
        ("REFUNDED", 200),
        ("CHARGED_BACK", 500),
        ("CHARGE_BACK_REVERSED", 500),
    ]
    await till.shop.cancel(placed.order_id)
    await settle(till)
    assert (await states(till, placed), stripe.books) == ((CANCELLED, REFUNDED), [("succeeded", 700, 700)])


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_declined", payment_pb2.PAYMENT_FAILURE_CODE_INSUFFICIENT_FUNDS),
        ("pm_card_expired", payment_pb2.PAYMENT_FAILURE_CODE_METHOD_EXPIRED),
        ("pm_card_fraud", payment_pb2.PAYMENT_FAILURE_CODE_FRAUD_SUSPECTED),
        ("pm_none", payment_pb2.PAYMENT_FAILURE_CODE_METHOD_UNKNOWN),
        ("pm_card_action", payment_pb2.PAYMENT_FAILURE_CODE_AUTHENTICATION_FAILED),
    ],
)
async def test_a_decline_and_another_method(till: Till, stripe: StripeFake, method: str, code: int) -> None:
    placed = await order(till, method)
    await till.run()
    if method == "pm_card_action":
        stripe.act(next(iter(stripe.intents)), succeeds=False)
        await deliver(till, stripe.events[-1])
        await till.run()
    assert await states(till, placed) == (PENDING, FAILED)
    assert (await till.shop.payment(placed.payment_id)).failure_code == code
    await confirm(till, placed, "pm_card_ok")
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    assert stripe.books[-1] == ("succeeded", 1000, 0)
    for event in stripe.events:  # those of the attempt that failed are late
        await deliver(till, event)
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, CAPTURED)


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("POST payment_intents$", "lost request"),
        ("POST payment_intents$", "lost answer"),
        ("confirm", "500"),
        ("confirm", "429"),
        ("confirm", "lost request"),
        ("confirm", "slow"),
        ("capture", "lost request"),
        ("capture", "lost answer"),
        ("refunds", "500"),
        ("refunds", "lost answer"),
        ("^GET", "lost request"),
    ],
)
async def test_a_fault_moves_no_money_twice(till: Till, stripe: StripeFake, call: str, fault: str) -> None:
    placed = await order(till)
    stripe.faults = [(call, fault)] * 2
    await till.run()
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    await refund(till, placed, 400)
    await settle(till)
    await till.shop.cancel(placed.order_id)
    await settle(till)
    assert await states(till, placed) == (CANCELLED, REFUNDED)
    assert stripe.books == [("succeeded", 1000, 1000)]
    assert (await ledger(till, placed))[2:] == [("REFUNDED", 400), ("REFUNDED", 600)]
    assert len(stripe.faults) < 2


async def test_a_refund_whose_answer_was_lost_counts_once_on_an_order_that_is_cancelled(
    till: Till, stripe: StripeFake
) -> None:
    placed = await order(till)
    await till.run()
    await refund(till, placed)
    stripe.faults = [("refunds", "lost answer")]
    await till.worker(await till.queue.lease(100))  # and the process dies
    await till.shop.cancel(placed.order_id)
    await deliver(till, stripe.events[-1])
    await settle(till)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.state, payment.refunded_minor, payment.refunding_minor) == (REFUNDED, 1000, 0)
    assert (stripe.books, (await ledger(till, placed))[2:]) == ([("succeeded", 1000, 1000)], [("REFUNDED", 1000)])


async def test_an_order_that_expires_before_stripe_was_asked_reserves_nothing_there(
    till: Till, stripe: StripeFake
) -> None:
    placed = [await order(till), await order(till, "pm_none")]
    advance(till, 2 * MAX_PENDING_TIME)
    assert await till.expiry.run() == 2
    await settle(till)
    assert [await states(till, one) for one in placed] == [(EXPIRED, VOIDED)] * 2
    assert [status for status, _, _ in stripe.books] == ["canceled"]


@pytest.mark.parametrize("call", ["POST payment_intents$", "confirm"])
async def test_an_order_cancelled_while_stripe_is_silent_is_voided(till: Till, stripe: StripeFake, call: str) -> None:
    placed = await order(till)
    stripe.faults = [(call, "lost answer")]
    await till.run()
    assert (await states(till, placed))[1] == PROCESSING
    await till.shop.cancel(placed.order_id)
    await settle(till)
    assert await states(till, placed) == (CANCELLED, VOIDED)
    assert [status for status, _, _ in stripe.books] == ["canceled"]


async def test_events_come_early_twice_late_and_in_any_order(till: Till, stripe: StripeFake) -> None:
    placed = await order(till)
    jobs = await till.queue.lease(100)
    stripe.faults = [("capture", "lost answer")]
    await till.worker(jobs)
    await till.queue.finish(jobs)
    stored, repeated = counted("stored"), counted("repeated")
    for event in [*reversed(stripe.events), *stripe.events]:
        await deliver(till, event)
    assert (counted("stored") - stored, counted("repeated") - repeated) == (2, 2)
    assert await till.shop.count("SELECT count(*) FROM payment_work WHERE kind = 'find'") == 2
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    assert await ledger(till, placed) == [("AUTHORIZED", 1000), ("CAPTURED", 1000)]
    assert await till.shop.count("SELECT count(*) FROM provider_events") == len(stripe.events) == 2


async def test_what_is_not_signed_changes_nothing(till: Till, stripe: StripeFake) -> None:
    await order(till)
    await till.run()
    event, before = stripe.events[-1], counted("badly signed")
    for call in (
        deliver(till, event, secret="whsec_other"),
        deliver(till, event, age=TOLERANCE_S + 1),
        deliver(till, event, age=-TOLERANCE_S - 1),
    ):
        await assert_refused(call, "EVENT_SIGNATURE_INVALID")
    body, signature = StripeFake.signed(event, int(till.shop.app.clock.now().timestamp()))
    for provider, changed, header, reason in (
        ("stripe", body + b" ", signature, "EVENT_SIGNATURE_INVALID"),
        ("stripe", body, "", "EVENT_SIGNATURE_INVALID"),
        ("stripe", body, f"{signature},t=1", "EVENT_SIGNATURE_INVALID"),
        ("sandbox", body, signature, "EVENT_SIGNATURE_INVALID"),
        ("paypal", body, signature, "PROVIDER_NOT_FOUND"),
    ):
        request = pb.HandleProviderEventRequest(provider=provider, body=HttpBody(data=changed))
        call = till.shop.payments.HandleProviderEvent(request, metadata=[("stripe-signature", header)])
        await assert_refused(call, reason)
    assert counted("badly signed") - before == 6
    await assert_refused(deliver(till, {"id": "evt_1", "type": 7, "data": {"object": {}}}), "EVENT_MALFORMED")
    await assert_refused(deliver(till, {"id": "evt_1"}), "EVENT_MALFORMED")
    assert await till.shop.count("SELECT count(*) FROM provider_events") == 0
    await deliver(till, {"id": "evt_9", "type": "customer.created", "data": {"object": {"id": "cus_1"}}})
    assert await till.shop.count("SELECT count(*) FROM payment_work WHERE kind = 'find'") == 0


async def test_the_sandbox_signs_its_events_with_a_secret_of_this_deployment(till: Till) -> None:
    placed = await order(till)
    event = {"id": "evt_1", "type": "charge", "data": {"object": {"metadata": {"payment_id": placed.payment_id}}}}
    now = till.shop.app.clock.now().timestamp()
    signature = sign(json.dumps(event).encode(), till.shop.app.vault.derive("sandbox events"), int(now))
    request = pb.HandleProviderEventRequest(provider="sandbox", body=HttpBody(data=json.dumps(event).encode()))
    for _ in range(2):
        await till.shop.payments.HandleProviderEvent(request, metadata=[("sandbox-signature", signature)])
    assert await till.shop.count("SELECT count(*) FROM payment_work WHERE kind = 'find'") == 1


async def test_an_order_in_test_is_paid_in_the_sandbox(till: Till, stripe: StripeFake) -> None:
    placed = await order(till, "pm_sandbox_ok")
    await till.shop.database.run(Query("UPDATE orders SET mode = 'TEST'"))
    await till.run()
    assert (await states(till, placed), stripe.calls) == ((CONFIRMED, CAPTURED), [])
