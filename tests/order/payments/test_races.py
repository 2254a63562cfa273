"""Two at once: one lawful outcome each, the others are refused by name."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from weft.order.v1 import payment_pb2

from chassis.clock import FixedClock
from services.order.payments.gateways.sandbox import SETTLEMENT_DELAY
from tests.harness import Harness, Refusal, refusal
from tests.order.payments import books
from tests.order.payments.calls import AT_ONCE, AT_SHIPMENT, advance, capture, confirm, ledger, refund, settle, states
from tests.order.payments.till import (
    CANCELLED,
    CHARGED_BACK,
    CONFIRMED,
    EXPIRED,
    MAX_PENDING_TIME,
    REFUNDED,
    VOIDED,
    Till,
)
from tests.order.shop import Shop


@pytest.fixture
async def till(harness: Harness, clock: FixedClock):
    async with harness.running("order", clock=clock, work=False) as running:
        yield Till(Shop(running, harness.issuer))


def refused_of(results: list) -> list[Refusal]:
    """The refusals among the results of concurrent calls; any other error is raised."""
    failed = [result for result in results if isinstance(result, BaseException)]
    for error in failed:
        if not isinstance(error, grpc.RpcError):
            raise error
    return [refusal(error) for error in failed]


@pytest.mark.parametrize("ends", ["cancel", "expire", "expire while the payer acts"])
async def test_an_order_that_ends_while_it_is_paid_or_captured_keeps_no_money(till: Till, ends: str) -> None:
    ink = await till.shop.product(stock=20)
    method = "pm_sandbox_ok" if ends in ("cancel", "expire") else "pm_sandbox_action_required"
    placed = [await till.shop.order((ink, 1), capture=AT_SHIPMENT, method=method) for _ in range(10)]
    acted = set()
    if ends == "cancel":
        await till.run()
        ending = [till.shop.cancel(order.order_id) for order in placed]
        paying = [capture(till, order) for order in placed]
        refusals = refused_of(await asyncio.gather(*ending, *paying, till.run(), return_exceptions=True))
        assert {r.reason for r in refusals} <= {"PAYMENT_NOT_CAPTURABLE"}, "every cancellation succeeds"
    elif ends == "expire":
        advance(till, 2 * MAX_PENDING_TIME)
        await asyncio.gather(till.run(), till.expiry.run())
    else:
        await till.run()
        advance(till, 2 * MAX_PENDING_TIME)
        acting = [confirm(till, order) for order in placed]
        *results, _, _ = await asyncio.gather(*acting, till.run(), till.expiry.run(), return_exceptions=True)
        assert {r.reason for r in refused_of(results)} <= {"PAYMENT_NOT_CONFIRMABLE"}
        acted = {o.order_id for o, r in zip(placed, results, strict=True) if isinstance(r, payment_pb2.Payment)}
    await settle(till)
    for order in placed:
        state, payment_state = await states(till, order)
        rows = await ledger(till, order)
        kept = sum(a for k, a in rows if k == "CAPTURED") - sum(a for k, a in rows if k == "REFUNDED")
        if state == CONFIRMED:
            assert ends == "expire" or order.order_id in acted
        else:
            assert state == (CANCELLED if ends == "cancel" else EXPIRED)
            assert (payment_state in (VOIDED, REFUNDED), kept) == (True, 0)
    ended = [order for order in placed if (await states(till, order))[0] != CONFIRMED]
    assert await till.shop.stock(ink) == 10 + len(ended)
    await books.check_ended(till.shop, [await till.shop.get(order.order_id) for order in placed])


@pytest.mark.parametrize(("when", "ends"), [(AT_SHIPMENT, VOIDED), (AT_ONCE, REFUNDED)])
async def test_an_order_that_was_read_before_the_provider_was_asked_expires_and_keeps_nothing(
    till: Till, when: payment_pb2.CaptureMode.ValueType, ends: int
) -> None:
    """The reader does not lock it, and what the provider is asked counts no version."""
    placed = await till.shop.order((await till.shop.product(), 1), capture=when)
    (order,) = await till.orders.list_by_payments([placed.payment_id])
    await till.die("after authorize")
    order.expire("service:order")
    assert await till.orders.update(order)
    advance(till, timedelta(seconds=31))
    await till.run()
    assert (await states(till, placed), await till.charges()) == (
        (EXPIRED, ends),
        ["VOIDED" if ends == VOIDED else "REFUNDED"],
    )


async def test_the_last_item_is_sold_once_to_fifty_at_once(till: Till) -> None:
    ink = await till.shop.product(stock=1)
    results = await asyncio.gather(*(till.shop.order((ink, 1)) for _ in range(50)), return_exceptions=True)
    assert [refusal.reason for refusal in refused_of(results)] == ["OUT_OF_STOCK"] * 49
    await settle(till)
    assert (await till.charges(), await till.shop.stock(ink)) == (["CAPTURED"], 0)


async def test_many_refunds_at_once_never_exceed_what_was_captured(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1))
    await till.run()
    results = await asyncio.gather(*(refund(till, placed, 300) for _ in range(8)), return_exceptions=True)
    made = [r for r in results if isinstance(r, payment_pb2.Payment)]
    assert len(made) == 3
    assert [r.reason for r in refused_of(results)] == ["REFUND_EXCEEDS_CAPTURED"] * 5
    await settle(till)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.refunded_minor, payment.refunding_minor, payment.refundable_minor) == (900, 0, 100)
    assert (await ledger(till, placed))[2:] == [("REFUNDED", 300)] * 3


async def test_a_refund_whose_answer_was_lost_is_settled_though_the_bank_takes_the_rest(till: Till) -> None:
    placed = await till.shop.order((await till.shop.product(), 1), method="pm_sandbox_charge_back")
    await till.run()
    await refund(till, placed, 400)
    await till.die("after refund")
    advance(till, SETTLEMENT_DELAY)
    assert await till.sandbox.change_later() == 1
    await settle(till)
    payment = await till.shop.payment(placed.payment_id)
    assert (payment.state, payment.refunded_minor, payment.refunding_minor) == (CHARGED_BACK, 400, 0)
    assert (await ledger(till, placed))[2:] == [("CHARGED_BACK", 600), ("REFUNDED", 400)]
