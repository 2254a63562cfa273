"""What a charge at the provider means for its order.

The same for the answer to a call of ours, for an event of the provider, and for what a reconciliation finds: only the
charge as it is now counts, so answers and events may come late, twice and in any order.
"""

from services.order.domain.order import Order
from services.order.domain.payment import FailureCode
from services.order.domain.states import OrderState, PaymentState
from services.order.payments.gateways.gateway import Charge, ChargeState

_UNDECIDED = (PaymentState.PENDING, PaymentState.ACTION_REQUIRED, PaymentState.PROCESSING)
_COLLECTED = (PaymentState.CAPTURED, PaymentState.PARTIALLY_REFUNDED, PaymentState.CHARGED_BACK)
_PAID = (ChargeState.CAPTURED, ChargeState.REFUNDED)


def apply(charge: Charge, order: Order, actor: str) -> bool:
    """Make the next change that the charge calls for; False if it calls for none.

    Money that somebody else moved at the provider calls for none: reconciliation reports it.
    """
    payment = order.payment
    if charge.state in (ChargeState.UNKNOWN, ChargeState.UNSETTLED):
        return False
    payment.reference = charge.reference or payment.reference
    if payment.state in _COLLECTED and _charge_back(charge, order, actor):
        return True
    if not order.open:
        return _end(charge, order, actor)
    if payment.state in _UNDECIDED:
        return _decide(charge, order, actor)
    if payment.state is PaymentState.AUTHORIZED:
        if charge.state in _PAID:
            order.capture(actor, charge.captured_minor)
            return True
        if charge.state in (ChargeState.VOIDED, ChargeState.DECLINED):
            order.fail(charge.reason or "the authorization has ended", charge.code, actor)
            return True
    return False


def _decide(charge: Charge, order: Order, actor: str) -> bool:
    if charge.state is ChargeState.DECLINED:
        order.fail(charge.reason, charge.code, actor)
    elif charge.state is ChargeState.VOIDED:
        order.fail("the provider has ended the payment", FailureCode.DECLINED, actor)
    elif charge.state is not ChargeState.ACTION_REQUIRED:
        if order.state is not OrderState.PENDING:
            return False
        if charge.state in _PAID:
            order.collect(actor, charge.captured_minor)
        else:
            order.confirm(actor)
    elif order.payment.state is PaymentState.ACTION_REQUIRED and not order.payment.confirming:
        return False  # known
    else:
        order.require_action(charge.next_action, actor)
    return True


def _charge_back(charge: Charge, order: Order, actor: str) -> bool:
    ours = order.payment.charged_back_minor
    if charge.charged_back_minor > ours and order.payment.state is not PaymentState.CHARGED_BACK:
        order.charge_back(charge.charged_back_minor - ours, actor)
    elif charge.charged_back_minor < ours:
        order.reverse_charge_back(actor)
    else:
        return False
    return True


def _end(charge: Charge, order: Order, actor: str) -> bool:
    """Of an order that has ended."""
    if order.state is OrderState.COMPLETED or order.payment.ended or order.payment.refund:
        return False  # a refund that was requested is settled first: it may be part of what the provider has given back
    if charge.state is ChargeState.REFUNDED:
        order.refund(charge.captured_minor, actor)
    elif charge.state in (ChargeState.VOIDED, ChargeState.DECLINED):
        order.void(actor)
    else:
        return False
    return True
