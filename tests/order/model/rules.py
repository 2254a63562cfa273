"""What must hold of an order by what is seen of it, said once more and without the service's own code."""

from collections.abc import Callable

from weft.order.v1 import fulfilment_pb2 as f
from weft.order.v1 import order_pb2 as pb
from weft.order.v1 import payment_pb2, return_pb2

ENDED = (pb.ORDER_STATE_CANCELLED, pb.ORDER_STATE_EXPIRED)
PAID = (pb.PAYMENT_STATE_CAPTURED, pb.PAYMENT_STATE_PARTIALLY_REFUNDED, pb.PAYMENT_STATE_REFUNDED)
_REFUNDABLE = (pb.PAYMENT_STATE_CAPTURED, pb.PAYMENT_STATE_PARTIALLY_REFUNDED)
_SHIPPABLE = (pb.PAYMENT_STATE_AUTHORIZED, *_REFUNDABLE)


def check(order: pb.Order, payment: payment_pb2.Payment) -> None:
    """At any moment: units and money are in their bounds, and the states say what is so."""
    line = order.lines[0]
    total = line.quantity * line.unit_price.amount_minor + sum(c.amount.amount_minor for c in order.charges)
    assert 0 <= line.returned_quantity <= line.delivered_quantity <= line.shipped_quantity <= line.quantity
    assert sum(s.lines[0].quantity for s in order.shipments) == line.shipped_quantity
    assert sum(r.lines[0].received_quantity for r in order.returns) == line.returned_quantity
    assert order.total.amount_minor == payment.amount.amount_minor == total
    assert 0 <= payment.authorized_minor <= total
    assert 0 <= payment.captured_minor <= total
    assert payment.refunded_minor + payment.refunding_minor <= payment.captured_minor
    claimed = sum(r.lines[0].quantity for r in order.returns if r.state != return_pb2.RETURN_STATE_REFUSED)
    assert claimed <= line.delivered_quantity
    assert sum(made.refund.amount_minor for made in order.returns) <= _paid(line)
    for made in order.returns:
        assert made.refund.amount_minor >= 0
        assert made.lines[0].received_quantity <= made.lines[0].quantity
    if payment.state in (*PAID, pb.PAYMENT_STATE_CHARGED_BACK):
        assert payment.authorized_minor == payment.captured_minor > 0, "the rest was released"
    charged_back = payment.state == pb.PAYMENT_STATE_CHARGED_BACK
    assert charged_back == (payment.charged_back_minor > 0), "the bank takes a sum"
    assert order.fulfilment_state == _fulfilment(line)
    assert order.display_state == _display(order)
    done = line.delivered_quantity == line.quantity and order.payment_state in PAID
    assert not (order.state == pb.ORDER_STATE_CONFIRMED and done), "it is completed at once"
    if order.state in ENDED:
        assert not line.shipped_quantity, "nothing leaves of what has ended"
    if order.state == pb.ORDER_STATE_COMPLETED:
        assert line.delivered_quantity == line.quantity


def _paid(line: pb.OrderLine) -> int:
    """For the units that came back, with their tax: the last takes the rest of it."""
    return (
        line.returned_quantity * line.unit_price.amount_minor + line.tax_minor * line.returned_quantity // line.quantity
    )


def amount(verb: str, named: str, payment: payment_pb2.Payment) -> int:
    """In the minor unit; 0 for the rest."""
    most = max(payment.authorized_minor if verb == "capture" else _left(payment), 0)
    return {"rest": 0, "one": 1, "most": most, "over": most + 1}[named]


def check_step(verb: str, done: bool, order: pb.Order, payment: payment_pb2.Payment, after: pb.Order) -> None:
    """Of one call by itself: what is refused changes nothing; what came back is refunded, as far as it can be."""
    assert done or after == order
    assert not done or int(after.etag) == int(order.etag) + 1
    if done and verb == "deliver":
        whole = after.lines[0].delivered_quantity == after.lines[0].quantity
        assert (after.state == pb.ORDER_STATE_COMPLETED) == (whole and after.payment_state in PAID)
    if done and verb == "receive":
        asked = sum(made.refund.amount_minor for made in after.returns) - sum(
            m.refund.amount_minor for m in order.returns
        )
        refundable = _left(payment) if payment.state in _REFUNDABLE else 0
        assert asked == min(_paid(after.lines[0]) - _paid(order.lines[0]), refundable)


def _fulfilment(line: pb.OrderLine) -> int:
    if line.shipped_quantity < line.quantity:
        return f.FULFILMENT_STATE_PARTIALLY_SHIPPED if line.shipped_quantity else f.FULFILMENT_STATE_UNFULFILLED
    if line.delivered_quantity < line.quantity:
        return f.FULFILMENT_STATE_SHIPPED
    if not line.returned_quantity:
        return f.FULFILMENT_STATE_DELIVERED
    whole = line.returned_quantity == line.quantity
    return f.FULFILMENT_STATE_RETURNED if whole else f.FULFILMENT_STATE_PARTIALLY_RETURNED


def _display(order: pb.Order) -> int:
    ended = {s: pb.OrderDisplayState.Value(f"ORDER_DISPLAY_{pb.OrderState.Name(s)[6:]}") for s in ENDED}
    wrong = {
        pb.PAYMENT_STATE_CHARGED_BACK: pb.ORDER_DISPLAY_STATE_CHARGED_BACK,
        pb.PAYMENT_STATE_ACTION_REQUIRED: pb.ORDER_DISPLAY_STATE_ACTION_REQUIRED,
        pb.PAYMENT_STATE_FAILED: pb.ORDER_DISPLAY_STATE_PAYMENT_FAILED,
    }
    if order.state in ended:
        return ended[order.state]
    if order.payment_state in wrong:
        return wrong[order.payment_state]
    if order.state == pb.ORDER_STATE_PENDING:
        return pb.ORDER_DISPLAY_STATE_AWAITING_PAYMENT
    if order.fulfilment_state == f.FULFILMENT_STATE_UNFULFILLED:
        refunded = order.payment_state == pb.PAYMENT_STATE_REFUNDED
        return pb.ORDER_DISPLAY_STATE_REFUNDED if refunded else pb.ORDER_DISPLAY_STATE_CONFIRMED
    name = f.FulfilmentState.Name(order.fulfilment_state).removeprefix("FULFILMENT_STATE_")
    return pb.OrderDisplayState.Value(f"ORDER_DISPLAY_STATE_{name}")


def refusable(verb: str, order: pb.Order, payment: payment_pb2.Payment, by_hand: bool, amount: int) -> bool:
    """Whether a call must be refused, by what was seen before it; False also where it may be."""
    judge = _MUST_REFUSE.get(verb)
    return judge is not None and judge(order, payment, by_hand, amount)


def _gone(order: pb.Order) -> bool:
    return order.state in ENDED or order.fulfilment_state != f.FULFILMENT_STATE_UNFULFILLED


def _left(payment: payment_pb2.Payment) -> int:
    return payment.captured_minor - payment.refunded_minor - payment.refunding_minor


def _cancel(order: pb.Order, payment: payment_pb2.Payment, by_hand: bool, _: int) -> bool:
    return _gone(order) or (by_hand and payment.refunded_minor < payment.captured_minor)


def _refund(order: pb.Order, payment: payment_pb2.Payment, _: bool, amount: int) -> bool:
    return (
        order.state in ENDED or payment.state not in _REFUNDABLE or not 0 < (amount or _left(payment)) <= _left(payment)
    )


def _last(state: int) -> Callable[[pb.Order, payment_pb2.Payment, bool, int], bool]:
    return lambda order, *_: not order.returns or order.returns[-1].state != state


def _receive(order: pb.Order, *_: object) -> bool:
    expected = (return_pb2.RETURN_STATE_APPROVED, return_pb2.RETURN_STATE_PARTIALLY_RECEIVED)
    return not order.returns or order.returns[-1].state not in expected


_MUST_REFUSE: dict[str, Callable[[pb.Order, payment_pb2.Payment, bool, int], bool]] = {
    "cancel": _cancel,
    "release": _cancel,
    "update": lambda order, *_: _gone(order),
    "refund": _refund,
    "capture": lambda order, payment, _, amount: (
        order.state in ENDED or payment.state != pb.PAYMENT_STATE_AUTHORIZED or amount > payment.authorized_minor
    ),
    "mark_paid": lambda order, payment, *_: (
        order.state != pb.ORDER_STATE_PENDING
        or payment.state not in (pb.PAYMENT_STATE_PENDING, pb.PAYMENT_STATE_FAILED)
    ),
    "give_back": lambda order, payment, by_hand, _: not by_hand or order.state in ENDED,
    "confirm": lambda order, payment, *_: (
        order.state != pb.ORDER_STATE_PENDING
        or payment.state not in (pb.PAYMENT_STATE_FAILED, pb.PAYMENT_STATE_ACTION_REQUIRED)
    ),
    "ship": lambda order, payment, *_: (
        order.state != pb.ORDER_STATE_CONFIRMED
        or payment.state not in _SHIPPABLE
        or order.lines[0].shipped_quantity == order.lines[0].quantity
    ),
    "deliver": lambda order, *_: order.lines[0].shipped_quantity == order.lines[0].delivered_quantity,
    "request_return": lambda order, *_: not order.lines[0].delivered_quantity,
    "approve": _last(return_pb2.RETURN_STATE_REQUESTED),
    "refuse": _last(return_pb2.RETURN_STATE_REQUESTED),
    "receive": _receive,
}
"""By the order and its payment as they were, whether it was paid by hand, and the amount."""
