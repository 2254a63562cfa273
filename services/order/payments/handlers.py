"""The RPCs that read payments."""

from typing import Any

from weft.order.v1 import payment_pb2
from weft.order.v1 import payment_service_pb2 as pb
from weft.order.v1.money_pb2 import Money

from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.security import modes
from chassis.storage.database import Row
from chassis.times import timestamp
from services.order.domain.payment import refundable
from services.order.domain.refusals import PaymentNotFound
from services.order.messages import FAILURE_CODES, PAYMENT_STATES
from services.order.ownership import owner_of
from services.order.payments.repository import PaymentRepository

CAPTURE_MODES = {name.removeprefix("CAPTURE_MODE_"): number for name, number in payment_pb2.CaptureMode.items()}
_NAMES = {number: name for name, number in PAYMENT_STATES.items()}


class PaymentHandlers:
    """The part of weft.order.v1.PaymentService that reads."""

    def __init__(self, payments: PaymentRepository, pages: Pages) -> None:
        self._payments = payments
        self._pages = pages

    async def GetPayment(self, request: pb.GetPaymentRequest, call: Call) -> payment_pb2.Payment:
        row = await self._payments.get(owner_of(call.caller), request.payment_id)
        if row is None:
            raise PaymentNotFound(payment_id=request.payment_id)
        return to_message(row)

    async def ListPayments(self, request: pb.ListPaymentsRequest, call: Call) -> pb.ListPaymentsResponse:
        owner, filters = owner_of(call.caller), _filters(request)
        page = self._pages.read(request, {"list": "payments", "owner": owner, **filters})
        rows = await self._payments.list(owner, page.limit, page.after, filters)
        payments, token = self._pages.split(page, rows, to_message, key="order_id")
        return pb.ListPaymentsResponse(payments=payments, next_page_token=token)


def _filters(request: pb.ListPaymentsRequest) -> dict[str, Any]:
    """The filters of `PaymentRepository.list` that a request sets."""
    states = sorted({_NAMES[state] for state in request.states if state})
    return {"states": states} if states else {}


def to_message(row: Row) -> payment_pb2.Payment:
    """From a row of `PaymentRepository`, with what can still be refunded."""
    return payment_pb2.Payment(
        payment_id=row.payment_id,
        order_id=row.order_id,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        state=PAYMENT_STATES[row.state],
        captured_minor=row.captured_minor,
        refunded_minor=row.refunded_minor,
        failure_reason=row.failure_reason,
        failure_code=FAILURE_CODES[row.failure_code],
        create_time=timestamp(row.created_at),
        update_time=timestamp(row.updated_at),
        mode=modes.to_message(row.mode),
        capture=CAPTURE_MODES[row.capture_when],
        next_action=row.next_action,
        authorized_minor=row.authorized_minor,
        refunding_minor=row.refunding_minor,
        charged_back_minor=row.charged_back_minor,
        refundable_minor=refundable(row.state, row.captured_minor, row.refunded_minor, row.refunding_minor),
    )
