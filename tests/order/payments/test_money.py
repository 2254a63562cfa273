"""Money that moves by request or at the provider: attempts, captures, refunds, charge-backs; the ledger says all of it."""

from datetime import timedelta

import pytest
from weft.order.v1 import fulfilment_pb2, order_pb2, payment_pb2
from weft.order.v1 import payment_service_pb2 as pb

from chassis.clock import FixedClock
from services.order.payments.gateways.sandbox import SETTLEMENT_DELAY
from tests.harness import Harness, assert_refused
from tests.order.payments.calls import AT_SHIPMENT, advance, capture, confirm, ledger, refund, settle, states
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
    NOT_ASKED,
    PARTIAL,
    PENDING,
    PROCESSING,
    REFUNDED,
    VOIDED,
    Till,
)
from tests.order.shop import Shop, metadata


@pytest.fixture
async def till(harness: Harness, clock: FixedClock):
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_sandbox_declined_expired", payment_pb2.PAYMENT_FAILURE_CODE_METHOD_EXPIRED),
        ("pm_sandbox_declined_blocked", payment_pb2.PAYMENT_FAILURE_CODE_METHOD_BLOCKED),
        ("pm_sandbox_declined_fraud", payment_pb2.PAYMENT_FAILURE_CODE_FRAUD_SUSPECTED),
        ("pm_sandbox_declined_generic", payment_pb2.PAYMENT_FAILURE_CODE_DECLINED),
        ("pm_sandbox_timeout_declined", payment_pb2.PAYMENT_FAILURE_CODE_INSUFFICIENT_FUNDS),
        ("pm_sandbox_action_fails", payment_pb2.PAYMENT_FAILURE_CODE_AUTHENTICATION_FAILED),
    ],
)
async def test_a_declined_payment_succeeds_with_another_method(till: Till, method: str, code: int) -> None:
    ink = await till.shop.product(stock=5)
    placed = await till.shop.order((ink, 1), method=method)
    await till.run()
    if method == "pm_sandbox_timeout_declined":
        assert await states(till, placed) == (PENDING, PROCESSING)
    if method == "pm_sandbox_action_fails":
        await confirm(till, placed)
    await settle(till)
    assert await states(till, placed) == (PENDING, FAILED)
    assert (await till.shop.payment(placed.payment_id)).failure_code == code
    await assert_refused(confirm(till, placed), "PAYMENT_METHOD_REQUIRED")
    again = await confirm(till, placed, "pm_sandbox_ok")
    assert (again.state, again.failure_code, again.failure_reason) == (NOT_ASKED, 0, "")
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    assert await ledger(till, placed) == [("AUTHORIZED", 1000), ("CAPTURED", 1000)]
    assert await till.charges() == ["DECLINED", "CAPTURED"]
    await assert_refused(confirm(till, placed, "pm_sandbox_ok"), "PAYMENT_NOT_CONFIRMABLE")
    assert await till.shop.stock(ink) == 4


async def test_the_payer_acts_and_the_payment_goes_on(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method="pm_sandbox_action_required")
    await till.run()
    waiting = await till.shop.payment(placed.payment_id)
    assert (waiting.state, waiting.next_action.startswith("https://")) == (ACTION_REQUIRED, True)
    assert await till.run() == 0
    await assert_refused(confirm(till, placed, "pm_sandbox_ok"), "PAYMENT_NOT_CONFIRMABLE")
    await confirm(till, placed)
    await till.die("after confirm")
    advance(till, timedelta(seconds=31))
    await settle(till)
    done = await till.shop.payment(placed.payment_id)
    assert (done.state, done.next_action, done.refundable_minor) == (CAPTURED, "", 1000)
    emitted = [kind for _, kind in await till.shop.events(placed.order_id)]
    assert emitted == ["order.placed", "payment.action_required", "order.confirmed", "payment.captured"]


@pytest.mark.parametrize("ends", ["cancel", "expire"])
async def test_a_payment_that_waits_for_the_payer_is_voided_with_its_order(till: Till, ends: str) -> None:
    ink = await till.shop.product(stock=5)
    placed = await till.shop.order((ink, 1), method="pm_sandbox_action_required")
    await till.run()
    if ends == "cancel":
        await till.shop.cancel(placed.order_id)
    else:
        advance(till, MAX_PENDING_TIME + timedelta(seconds=1))
        await till.expiry.run()
    await settle(till)
    assert await states(till, placed) == (CANCELLED if ends == "cancel" else EXPIRED, VOIDED)
    await assert_refused(confirm(till, placed), "PAYMENT_NOT_CONFIRMABLE")
    assert (await ledger(till, placed), await till.charges(), await till.shop.stock(ink)) == ([], ["VOIDED"], 5)


async def test_a_part_is_captured_and_the_rest_released(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), capture=AT_SHIPMENT)
    await till.run()
    assert await states(till, placed) == (CONFIRMED, AUTHORIZED)
    await assert_refused(capture(till, placed, 1001), "CAPTURE_EXCEEDS_AUTHORIZED", authorized_minor="1000")
    await capture(till, placed, 700)
    await assert_refused(capture(till, placed, 300), "PAYMENT_NOT_CAPTURABLE")
    await till.die("after capture")
    advance(till, timedelta(seconds=31))
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    assert await ledger(till, placed) == [("AUTHORIZED", 1000), ("CAPTURED", 700), ("VOIDED", 300)]
    await till.shop.cancel(placed.order_id)
    await settle(till)
    assert await states(till, placed) == (CANCELLED, REFUNDED)
    assert (await ledger(till, placed))[-1] == ("REFUNDED", 700)


async def test_the_first_shipment_captures_everything_even_if_the_provider_fails_once(till: Till) -> None:
    ink = await till.shop.product()
    placed = await till.shop.order((ink, 2), capture=AT_SHIPMENT, method="pm_sandbox_capture_fails_once")
    await till.run()
    request = fulfilment_pb2.ShipOrderRequest(
        order_id=placed.order_id, lines=[fulfilment_pb2.FulfilmentLineInput(product_id=ink, quantity=1)]
    )
    await till.shop.orders.ShipOrder(request, metadata=metadata(till.shop.operator, "ship"))
    await till.run()
    assert await states(till, placed) == (CONFIRMED, AUTHORIZED), "the first capture failed"
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    assert await ledger(till, placed) == [("AUTHORIZED", 2000), ("CAPTURED", 2000)]


async def test_refunds_are_exact_and_the_last_takes_the_rest(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(price=999), 1))
    await assert_refused(refund(till, placed), "PAYMENT_NOT_REFUNDABLE")
    await till.run()
    assert (await refund(till, placed, 333, key="one")).refunding_minor == 333
    assert (await refund(till, placed, 333, key="one")).refunding_minor == 333, "the same call"
    await till.die("after refund")
    assert (await refund(till, placed, 333)).refundable_minor == 333
    await assert_refused(refund(till, placed, 334), "REFUND_EXCEEDS_CAPTURED", refundable_minor="333")
    advance(till, timedelta(seconds=31))
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, PARTIAL)
    await refund(till, placed)
    await settle(till)
    assert await states(till, placed) == (CONFIRMED, REFUNDED)
    assert (await ledger(till, placed))[2:] == [("REFUNDED", 333)] * 3
    assert await till.shop.count("SELECT sum(refunded_minor) FROM sandbox_charges") == 999
    events = [e for e in await till.shop.emitted(placed.order_id) if e.type == "payment.refunded"]
    assert len(events) == 3


async def test_a_refund_that_the_provider_refuses_can_be_requested_again(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method="pm_sandbox_refund_fails")
    await till.run()
    await refund(till, placed, 400)
    await settle(till)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.state, payment.refunding_minor, payment.refundable_minor) == (CAPTURED, 0, 1000)
    assert (await till.shop.events(placed.order_id))[-1][1] == "payment.refund_failed"
    assert await till.shop.count("SELECT count(*) FROM payment_refunds WHERE state = 'FAILED' AND failure <> ''") == 1


async def test_a_refund_and_a_cancellation_together_give_everything_back_once(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    await till.run()
    await refund(till, placed, 400)
    await till.shop.cancel(placed.order_id)
    await assert_refused(refund(till, placed, 400), "PAYMENT_NOT_REFUNDABLE")
    await settle(till)
    assert await states(till, placed) == (CANCELLED, REFUNDED)
    assert (await ledger(till, placed))[2:] == [("REFUNDED", 400), ("REFUNDED", 600)]
    assert await till.shop.count("SELECT sum(refunded_minor) FROM sandbox_charges") == 1000


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_charge_back_is_written_and_its_reversal_too(till: Till, cancelled: bool) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method="pm_sandbox_charge_back_reversed")
    await till.run()
    await refund(till, placed, 100)
    await settle(till)
    by = metadata(till.shop.operator, "k1")
    if not cancelled:
        await till.shop.orders.ShipOrder(fulfilment_pb2.ShipOrderRequest(order_id=placed.order_id), metadata=by)
    advance(till, SETTLEMENT_DELAY)
    assert (await till.sandbox.change_later(), await till.sandbox.change_later()) == (1, 0)
    await till.run()
    assert (await states(till, placed))[1] == CHARGED_BACK
    await assert_refused(refund(till, placed), "PAYMENT_NOT_REFUNDABLE")
    if cancelled:
        await till.shop.cancel(placed.order_id)
    else:
        await till.shop.orders.DeliverOrder(fulfilment_pb2.DeliverOrderRequest(order_id=placed.order_id), metadata=by)
        assert (await states(till, placed))[0] == CONFIRMED, "not paid"
    advance(till, SETTLEMENT_DELAY)
    assert await till.sandbox.change_later() == 1
    await settle(till)
    ended = (CANCELLED, REFUNDED) if cancelled else (order_pb2.ORDER_STATE_COMPLETED, PARTIAL)
    assert await states(till, placed) == ended
    expected = [
        ("AUTHORIZED", 1000),
        ("CAPTURED", 1000),
        ("REFUNDED", 100),
        ("CHARGED_BACK", 900),
        ("CHARGE_BACK_REVERSED", 900),
    ]
    assert await ledger(till, placed) == expected + [("REFUNDED", 900)] * cancelled


async def test_two_jobs_of_one_payment_in_one_batch_take_effect_once(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    async with till.shop.database.transaction() as tx:
        await till.queue.put(tx, kind="find", payload=placed.payment_id.encode())
    jobs = await till.queue.lease(100)
    assert len(jobs) == 2
    await till.worker(jobs)
    await till.queue.finish(jobs)
    assert [job.state for job in jobs] == ["done", "done"]
    assert await ledger(till, placed) == [("AUTHORIZED", 1000), ("CAPTURED", 1000)]


async def test_strangers_find_no_movements(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    await till.run()
    for token in (till.shop.issuer.user("usr_00000000000000000000000000"), till.shop.partner("prt_a")):
        request = pb.ListMovementsRequest(payment_id=placed.payment_id)
        call = till.shop.payments.ListMovements(request, metadata=metadata(token))
        await assert_refused(call, "PAYMENT_NOT_FOUND")
