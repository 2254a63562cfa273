"""Orders and lines as messages of the contract."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from operator import mul
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from weft.order.v1 import charge_pb2, fulfilment_pb2, payment_pb2, return_pb2
from weft.order.v1 import order_pb2 as pb
from weft.order.v1.money_pb2 import Money
from weft.order.v1.payment_pb2 import PaymentFailureCode

from chassis.security import modes
from chassis.times import timestamp
from chassis.values import etags
from services.order.domain import states
from services.order.domain.new_order import NewOrder
from services.order.domain.payment import Capture
from services.order.domain.pricing import AppliedCharge, Line

STATES = {name.removeprefix("ORDER_STATE_"): number for name, number in pb.OrderState.items()}
"""Order states of the contract by their names in rows."""
PAYMENT_STATES = {name.removeprefix("PAYMENT_STATE_"): number for name, number in pb.PaymentState.items()}
"""Payment states of the contract by their names in rows."""

FULFILMENT_STATES = {
    name.removeprefix("FULFILMENT_STATE_"): number for name, number in fulfilment_pb2.FulfilmentState.items()
}
"""Fulfilment states of the contract by their names in rows."""
CHARGE_KINDS = {name.removeprefix("CHARGE_KIND_"): number for name, number in charge_pb2.ChargeKind.items()}
"""Kinds of charges of the contract by their names in rows."""
_RETURN_STATES = {name.removeprefix("RETURN_STATE_"): number for name, number in return_pb2.ReturnState.items()}
_DISPLAY_STATES = {name.removeprefix("ORDER_DISPLAY_STATE_"): number for name, number in pb.OrderDisplayState.items()}

FAILURE_CODES = {name.removeprefix("PAYMENT_FAILURE_CODE_"): number for name, number in PaymentFailureCode.items()} | {
    "": PaymentFailureCode.PAYMENT_FAILURE_CODE_UNSPECIFIED
}
"""Failure codes of the contract by their names in rows; empty for a payment that has not failed."""

CAPTURES = {
    payment_pb2.CAPTURE_MODE_UNSPECIFIED: Capture.AT_ONCE,
    payment_pb2.CAPTURE_MODE_AT_ONCE: Capture.AT_ONCE,
    payment_pb2.CAPTURE_MODE_AT_SHIPMENT: Capture.AT_SHIPMENT,
}
"""When the money is collected, by the contract's values."""

_UNFULFILLED = FULFILMENT_STATES["UNFULFILLED"]
_AWAITING_PAYMENT = _DISPLAY_STATES["AWAITING_PAYMENT"]


def lines_to_messages(lines: Iterable[Line | tuple[str, str, int, int, int]], currency: str) -> list[pb.OrderLine]:
    """Priced lines."""
    return [
        pb.OrderLine(
            product_id=product_id,
            title=title,
            quantity=quantity,
            unit_price=Money(amount_minor=unit_price, currency=currency),
            tax_minor=tax,
        )
        for product_id, title, quantity, unit_price, tax in lines
    ]


def charges_to_messages(
    charges: Iterable[AppliedCharge | tuple[str, str, int, int]], currency: str
) -> list[charge_pb2.OrderCharge]:
    return [
        charge_pb2.OrderCharge(
            kind=CHARGE_KINDS[kind],
            title=title,
            amount=Money(amount_minor=amount, currency=currency),
            rate_millionths=rate,
        )
        for kind, title, amount, rate in charges
    ]


def new_to_message(order: NewOrder) -> pb.Order:
    """An order that is about to be placed."""
    time = timestamp(order.placed_at)
    message = pb.Order(
        order_id=order.order_id,
        order_number=order.order_number,
        customer_id=order.customer_id,
        partner_id=order.partner_id,
        lines=lines_to_messages(order.lines, order.currency),
        total=Money(amount_minor=order.total_minor, currency=order.currency),
        state=STATES[order.state],
        payment_state=PAYMENT_STATES[order.payment.state],
        payment_id=order.payment.payment_id,
        external_reference=order.external_reference,
        note=order.note,
        create_time=time,
        update_time=time,
        etag=etags.of(order.version),
        mode=modes.to_message(order.mode),
        fulfilment_state=_UNFULFILLED,
        display_state=_AWAITING_PAYMENT,
        subtotal=Money(amount_minor=order.subtotal_minor, currency=order.currency),
    )
    if order.charges:
        message.charges.extend(charges_to_messages(order.charges, order.currency))
    if order.metadata:
        message.metadata.update(order.metadata)
    if order.address:
        message.shipping_address.ParseFromString(order.address)
    return message


def to_message(row: Any) -> pb.Order:
    """An order from a row of `OrderRepository` or of the feed, whose address they have opened."""
    currency = row.currency
    lines = zip(row.product_ids, row.titles, row.quantities, row.unit_prices, row.taxes, strict=True)
    order = pb.Order(
        order_id=row.order_id,
        order_number=row.order_number,
        customer_id=row.customer_id,
        partner_id=row.partner_id,
        lines=lines_to_messages(lines, currency),
        total=Money(amount_minor=row.total_minor, currency=currency),
        state=STATES[row.state],
        payment_state=PAYMENT_STATES[row.payment_state],
        payment_id=row.payment_id,
        external_reference=row.external_reference,
        note=row.note,
        metadata=row.metadata,
        create_time=timestamp(row.created_at),
        update_time=timestamp(row.updated_at),
        etag=etags.of(row.version),
        reason=row.reason,
        fulfilment_state=FULFILMENT_STATES[row.fulfilment_state],
        display_state=_display(row.state, row.payment_state, row.fulfilment_state),
        mode=modes.to_message(row.mode),
        subtotal=Money(amount_minor=sum(map(mul, row.quantities, row.unit_prices)), currency=currency),
    )
    if row.charges:
        order.charges.extend(charges_to_messages(row.charges, currency))
    if row.shipping_address_sealed:
        order.shipping_address.ParseFromString(row.shipping_address_sealed)
    if row.fulfilment:
        _add_fulfilment(order, row.fulfilment)
    if row.returns:
        _add_returns(order, row.returns, currency)
    return order


@cache
def _display(state: str, payment_state: str, fulfilment_state: str) -> "pb.OrderDisplayState.ValueType":
    return _DISPLAY_STATES[
        states.display(
            states.OrderState(state), states.PaymentState(payment_state), states.FulfilmentState(fulfilment_state)
        )
    ]


def _add_fulfilment(order: pb.Order, stored: Mapping[str, Any]) -> None:
    """Shipments, and how far the lines are, from the stored document (orders/document.py)."""
    lines = {line.product_id: line for line in order.lines}
    for shipment in stored["shipments"]:
        order.shipments.append(shipment_to_message(shipment))
        for product_id, quantity, delivered in shipment["lines"]:
            lines[product_id].shipped_quantity += quantity
            lines[product_id].delivered_quantity += delivered


def _add_returns(order: pb.Order, stored: Iterable[Mapping[str, Any]], currency: str) -> None:
    """Returns, and how much of the lines came back, from the stored document."""
    lines = {line.product_id: line for line in order.lines}
    for made in stored:
        order.returns.append(return_to_message(made, currency))
        for product_id, _, received in made["lines"]:
            lines[product_id].returned_quantity += received


def _time(stored: str | None) -> Timestamp | None:
    return timestamp(datetime.fromisoformat(stored)) if stored else None


def return_to_message(stored: Mapping[str, Any], currency: str) -> return_pb2.Return:
    return return_pb2.Return(
        return_id=stored["id"],
        state=_RETURN_STATES[stored["state"]],
        reason=stored["reason"],
        decision_reason=stored["decision"],
        request_time=_time(stored["at"]),
        decide_time=_time(stored["decided_at"]),
        receive_time=_time(stored["received_at"]),
        refund=Money(amount_minor=stored["refund"], currency=currency),
        lines=[
            return_pb2.ReturnLine(product_id=product_id, quantity=quantity, received_quantity=received)
            for product_id, quantity, received in stored["lines"]
        ],
    )


def shipment_to_message(stored: Mapping[str, Any]) -> fulfilment_pb2.Shipment:
    return fulfilment_pb2.Shipment(
        shipment_id=stored["id"],
        carrier=stored["carrier"],
        tracking_number=stored["tracking"],
        ship_time=_time(stored["at"]),
        deliver_time=_time(stored["delivered_at"]),
        lines=[
            fulfilment_pb2.ShipmentLine(product_id=product_id, quantity=quantity, delivered_quantity=delivered)
            for product_id, quantity, delivered in stored["lines"]
        ],
    )
