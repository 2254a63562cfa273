"""Calls about payments, as tests make them."""

import secrets
from datetime import timedelta

from weft.order.v1 import order_pb2, payment_pb2
from weft.order.v1 import payment_service_pb2 as pb

from chassis.clock import FixedClock
from services.order.reconciliation.reconciliation import Reconciliation, Source
from services.order.reconciliation.repository import ReconciliationRepository
from tests.order.payments.till import MAX_PENDING_TIME, Till
from tests.order.shop import metadata

AT_ONCE = payment_pb2.CAPTURE_MODE_AT_ONCE
AT_SHIPMENT = payment_pb2.CAPTURE_MODE_AT_SHIPMENT


def advance(till: Till, time: timedelta) -> None:
    assert isinstance(till.shop.app.clock, FixedClock)
    till.shop.app.clock.advance(time)


async def settle(till: Till) -> None:
    while await till.shop.count("SELECT count(*) FROM payment_work WHERE state = 'ready'"):
        advance(till, timedelta(seconds=61))
        await till.run()


async def states(till: Till, order: order_pb2.Order) -> tuple[int, int]:
    found = await till.shop.get(order.order_id, till.shop.operator)
    return found.state, found.payment_state


def confirm(till: Till, order: order_pb2.Order, method: str = ""):
    request = pb.ConfirmPaymentRequest(payment_id=order.payment_id, payment_method=method)
    return till.shop.payments.ConfirmPayment(request, metadata=metadata(till.shop.user))


def capture(till: Till, order: order_pb2.Order, amount: int = 0):
    request = pb.CapturePaymentRequest(payment_id=order.payment_id, amount_minor=amount)
    return till.shop.payments.CapturePayment(request, metadata=metadata(till.shop.operator, secrets.token_hex(8)))


def refund(till: Till, order: order_pb2.Order, amount: int = 0, key: str = ""):
    request = pb.RefundPaymentRequest(payment_id=order.payment_id, amount_minor=amount, reason="broken")
    key = key or secrets.token_hex(8)
    return till.shop.payments.RefundPayment(request, metadata=metadata(till.shop.operator, key))


async def ledger(till: Till, order: order_pb2.Order) -> list[tuple[str, int]]:
    """The movements of an order's payment; their sums are the payment's."""
    request = pb.ListMovementsRequest(payment_id=order.payment_id)
    listed = (await till.shop.payments.ListMovements(request, metadata=metadata(till.shop.user))).movements
    rows = [
        (payment_pb2.MovementKind.Name(m.kind).removeprefix("MOVEMENT_KIND_"), m.amount.amount_minor) for m in listed
    ]
    payment = await till.shop.payment(order.payment_id)

    def total(*kinds: str) -> int:
        return sum(amount for kind, amount in rows if kind in kinds)

    assert payment.authorized_minor == total("AUTHORIZED") - total("VOIDED")
    assert payment.captured_minor == total("CAPTURED")
    assert payment.refunded_minor == total("REFUNDED")
    assert payment.charged_back_minor == total("CHARGED_BACK") - total("CHARGE_BACK_REVERSED")
    return rows


def reconciliation(till: Till) -> Reconciliation:
    sources = {"sandbox": Source(till.sandbox, ["LIVE", "TEST"])}
    return Reconciliation(ReconciliationRepository(till.shop.database), sources, till.shop.app.clock, MAX_PENDING_TIME)


async def listed(till: Till, resolved: bool = False) -> list[tuple[str, str, int, int]]:
    request = pb.ListDiscrepanciesRequest(include_resolved=resolved)
    reply = await till.shop.payments.ListDiscrepancies(request, metadata=metadata(till.shop.operator))
    kinds = payment_pb2.DiscrepancyKind
    return [
        (d.payment_id, kinds.Name(d.kind).removeprefix("DISCREPANCY_KIND_"), d.ours_minor, d.theirs_minor)
        for d in reply.discrepancies
    ]
