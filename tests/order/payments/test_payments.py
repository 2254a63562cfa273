"""Payments: the outcomes of the saga, and that money moves once even if a worker dies in between."""

import asyncio
from datetime import timedelta

import pytest
from weft.order.v1 import order_pb2
from weft.order.v1.events_pb2 import PaymentFailed
from weft.order.v1.payment_pb2 import PaymentFailureCode
from weft.order.v1.payment_service_pb2 import ListPaymentsRequest
from weft_client.calls.breaker import State

from chassis import ids
from chassis.clock import FixedClock
from chassis.storage.database import Query
from services.order.domain.payment import Payment
from services.order.payments.gateways.gateway import Charge, ChargeState
from services.order.payments.gateways.sandbox import SETTLEMENT_DELAY
from tests.harness import Harness
from tests.order.payments.till import (
    CANCELLED,
    CAPTURED,
    CONFIRMED,
    EXPIRED,
    FAILED,
    MAX_PENDING_TIME,
    NOT_ASKED,
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


def clock_of(till: Till) -> FixedClock:
    assert isinstance(till.shop.app.clock, FixedClock)
    return till.shop.app.clock


async def states(till: Till, order: order_pb2.Order) -> tuple[int, int]:
    found = await till.shop.get(order.order_id, till.shop.operator)
    return found.state, found.payment_state


@pytest.mark.parametrize(
    ("method", "reason", "code"),
    [
        ("pm_sandbox_declined", "insufficient funds", PaymentFailureCode.PAYMENT_FAILURE_CODE_INSUFFICIENT_FUNDS),
        ("pm_stolen", "unknown payment method", PaymentFailureCode.PAYMENT_FAILURE_CODE_METHOD_UNKNOWN),
    ],
)
async def test_a_declined_payment_leaves_the_order_waiting_for_another_method(
    till: Till, method: str, reason: str, code: int
) -> None:
    ink = await till.shop.product(stock=5)
    placed = await till.shop.order((ink, 5), method=method)
    assert await till.run() == 1
    found = await till.shop.get(placed.order_id)
    assert (found.state, found.payment_state, found.reason) == (PENDING, FAILED, reason)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.state, payment.failure_reason, payment.failure_code) == (FAILED, reason, code)
    assert payment.captured_minor == 0
    (event,) = [e for e in await till.shop.emitted(placed.order_id) if e.type == "payment.failed"]
    payload = PaymentFailed.FromString(event.payload.value)
    assert (payload.reason, payload.failure_code) == (reason, code)
    assert await till.run() == 0
    clock_of(till).advance(MAX_PENDING_TIME + timedelta(seconds=1))
    assert await till.expiry.run() == 1
    assert await states(till, placed) == (EXPIRED, FAILED)
    assert await till.shop.stock(ink) == 5
    assert await till.shop.events(placed.order_id) == [
        (1, "order.placed"),
        (2, "payment.failed"),
        (3, "order.expired"),
    ]


async def test_a_provider_that_does_not_respond_is_reconciled_and_charges_once(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method="pm_sandbox_timeout")
    await till.run()
    assert await states(till, placed) == (PENDING, PROCESSING)
    clock_of(till).advance(timedelta(seconds=1))
    await till.run()
    assert await states(till, placed) == (PENDING, PROCESSING), "found UNSETTLED, and not authorized again"
    clock_of(till).advance(SETTLEMENT_DELAY)
    await till.run()
    assert await states(till, placed) == (CONFIRMED, CAPTURED)
    assert await till.charges() == ["CAPTURED"]
    assert await till.shop.events(placed.order_id) == [
        (1, "order.placed"),
        (2, "order.confirmed"),
        (3, "payment.captured"),
    ]


async def test_a_job_that_is_delivered_repeatedly_and_concurrently_takes_effect_once(till: Till) -> None:
    shop = till.shop
    ink = await shop.product()
    placed = [await shop.order((ink, 1), method=m) for m in ("pm_sandbox_ok", "pm_sandbox_declined", "pm_sandbox_ok")]
    jobs = await till.queue.lease(100)
    await asyncio.gather(*(till.worker(jobs) for _ in range(5)))
    await till.worker(jobs)
    assert [await states(till, order) for order in placed] == [
        (CONFIRMED, CAPTURED),
        (PENDING, FAILED),
        (CONFIRMED, CAPTURED),
    ]
    assert sorted(await till.charges()) == ["CAPTURED", "CAPTURED", "DECLINED"]
    for order in placed:
        sequences = [number for number, _ in await shop.events(order.order_id)]
        assert sequences == ([1, 2] if order is placed[1] else [1, 2, 3])
    assert await shop.stock(ink) == 97


async def test_cancelling_while_the_payment_is_in_progress_voids_or_refunds_it(till: Till) -> None:
    shop = till.shop
    ink = await shop.product(stock=100)
    placed = [await shop.order((ink, 1)) for _ in range(20)]
    jobs = await till.queue.lease(100)
    await asyncio.gather(till.worker(jobs), *(shop.cancel(order.order_id) for order in placed))
    await till.queue.finish(jobs)
    while await till.run():
        clock_of(till).advance(timedelta(seconds=61))
    for order in placed:
        state, payment_state = await states(till, order)
        assert state == CANCELLED
        assert payment_state in (VOIDED, REFUNDED)
    assert set(await till.charges()) <= {"VOIDED", "REFUNDED"}
    assert await shop.stock(ink) == 100


async def test_an_order_that_is_not_paid_in_time_expires(till: Till) -> None:
    shop = till.shop
    ink = await shop.product(stock=10)
    unpaid, silent, paid = [
        await shop.order((ink, 1), method=m) for m in ("pm_sandbox_ok", "pm_sandbox_timeout", "pm_sandbox_ok")
    ]
    await shop.database.run(
        Query("UPDATE payment_work SET due = due + interval '1 day' WHERE payload = convert_to(%(id)s, 'UTF8')"),
        id=unpaid.payment_id,
    )
    await till.run()
    assert await till.expiry.run() == 0
    clock_of(till).advance(MAX_PENDING_TIME + timedelta(seconds=1))
    assert await till.expiry.run() == 2
    assert await till.expiry.run() == 0
    assert await states(till, unpaid) == (EXPIRED, NOT_ASKED), "the provider may be asked at this moment"
    assert await states(till, silent) == (EXPIRED, PROCESSING)
    assert await shop.stock(ink) == 9
    await till.run()
    assert await states(till, unpaid) == (EXPIRED, VOIDED)
    assert await states(till, silent) == (EXPIRED, VOIDED)
    assert await states(till, paid) == (CONFIRMED, CAPTURED)
    assert sorted(await till.charges()) == ["CAPTURED", "VOIDED", "VOIDED"]
    assert await shop.events(unpaid.order_id) == [(1, "order.placed"), (2, "order.expired")]
    found = await shop.get(unpaid.order_id)
    assert found.reason == "not paid in time"


async def test_a_charge_that_arrives_after_its_reversal_is_refused(till: Till) -> None:
    payment = Payment("pay_1", "pm_sandbox_ok", 100, "EUR")
    assert (await till.sandbox.find(payment)).state is ChargeState.UNKNOWN
    voided = Charge(ChargeState.VOIDED, reference="pay_1/1")
    assert await till.sandbox.reverse(payment) == voided
    assert await till.sandbox.authorize(payment) == voided
    assert await till.sandbox.capture(payment, 100) == voided


async def test_an_unavailable_provider_costs_no_attempt_and_is_left_alone(till: Till) -> None:
    ink = await till.shop.product(stock=10)
    placed = [await till.shop.order((ink, 1)) for _ in range(3)]
    till.sandbox.away = True
    jobs = await till.queue.lease(100)
    await till.worker(jobs)
    assert till.breaker.state is State.OPEN
    assert [job.deferred for job in jobs] == [True, True, True]
    await till.queue.finish(jobs)
    assert await till.shop.count("SELECT sum(attempts - excused) FROM payment_work") == 0
    assert [await states(till, order) for order in placed] == [(PENDING, NOT_ASKED)] * 3
    till.sandbox.away = False
    while await till.shop.count("SELECT count(*) FROM payment_work WHERE state = 'ready'"):
        clock_of(till).advance(timedelta(seconds=61))
        await till.run()
    assert till.breaker.state is State.CLOSED
    assert [await states(till, order) for order in placed] == [(CONFIRMED, CAPTURED)] * 3
    assert await till.charges() == ["CAPTURED"] * 3


async def test_payments_are_listed_newest_first_in_pages_and_by_state(till: Till) -> None:
    shop = till.shop
    ink = await shop.product()
    placed = []
    for method in ("pm_sandbox_ok", "pm_sandbox_declined", "pm_sandbox_ok"):
        placed.append(await shop.order((ink, 1), method=method))
        clock_of(till).advance(timedelta(milliseconds=1))
    await shop.order((ink, 1), token=shop.issuer.user(ids.new("usr")))
    await till.run()

    async def listed(token: str, **filters):
        return await shop.payments.ListPayments(ListPaymentsRequest(**filters), metadata=metadata(token))

    first = await listed(shop.user, page_size=2)
    rest = await listed(shop.user, page_size=2, page_token=first.next_page_token)
    found = [payment.payment_id for payment in (*first.payments, *rest.payments)]
    assert found == [order.payment_id for order in reversed(placed)]
    assert rest.next_page_token == ""
    failed = await listed(shop.user, states=[FAILED])
    assert [payment.payment_id for payment in failed.payments] == [placed[1].payment_id]
    assert len((await listed(shop.operator)).payments) == 4
    assert len((await listed(shop.partner("prt_a"))).payments) == 0


async def test_a_shop_at_work_settles_every_kind_of_payment(shop: Shop) -> None:
    ink = await shop.product(stock=10)
    wanted = {
        "pm_sandbox_ok": (CONFIRMED, CAPTURED),
        "pm_sandbox_declined": (PENDING, FAILED),
        "pm_sandbox_timeout": (CONFIRMED, CAPTURED),
    }
    placed = {method: await shop.order((ink, 1), method=method) for method in wanted}
    for method, (state, payment_state) in wanted.items():
        await shop.reaches(placed[method].order_id, state, payment_state)
    paid = placed["pm_sandbox_ok"].order_id
    assert (await shop.cancel(paid, shop.operator)).state == CANCELLED
    assert (await shop.reaches(paid, CANCELLED, REFUNDED)).reason == "cancelled on request"
    assert await shop.stock(ink) == 8
