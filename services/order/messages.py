"""Orders, lines and times as messages of the contract."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from weft.order.v1 import order_pb2 as pb
from weft.order.v1.money_pb2 import Money
from weft.order.v1.payment_pb2 import PaymentFailureCode

from services.order.domain.order import NewOrder
from services.order.domain.pricing import Line

STATES = {name.removeprefix("ORDER_STATE_"): number for name, number in pb.OrderState.items()}
"""Order states of the contract by their names in rows."""
PAYMENT_STATES = {name.removeprefix("PAYMENT_STATE_"): number for name, number in pb.PaymentState.items()}
"""Payment states of the contract by their names in rows."""

FAILURE_CODES = {name.removeprefix("PAYMENT_FAILURE_CODE_"): number for name, number in PaymentFailureCode.items()} | {
    "": PaymentFailureCode.PAYMENT_FAILURE_CODE_UNSPECIFIED
}
"""Failure codes of the contract by their names in rows; empty for a payment that has not failed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def timestamp(time: datetime) -> Timestamp:
    """Takes a third of the time of `FromDatetime`."""
    seconds, micros = divmod((time - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def lines_to_messages(lines: Iterable[Line | tuple[str, str, int, int]], currency: str) -> list[pb.OrderLine]:
    """Priced lines."""
    return [
        pb.OrderLine(
            product_id=product_id,
            title=title,
            quantity=quantity,
            unit_price=Money(amount_minor=unit_price, currency=currency),
        )
        for product_id, title, quantity, unit_price in lines
    ]


def new_to_message(order: NewOrder) -> pb.Order:
    """An order that is about to be placed."""
    time = timestamp(order.placed_at)
    return pb.Order(
        order_id=order.order_id,
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
        etag=str(order.version),
    )


def to_message(row: Any) -> pb.Order:
    """An order from a row of `OrderRepository` or of the feed."""
    currency = row.currency
    lines = zip(row.product_ids, row.titles, row.quantities, row.unit_prices, strict=True)
    return pb.Order(
        order_id=row.order_id,
        customer_id=row.customer_id,
        partner_id=row.partner_id,
        lines=lines_to_messages(lines, currency),
        total=Money(amount_minor=row.total_minor, currency=currency),
        state=STATES[row.state],
        payment_state=PAYMENT_STATES[row.payment_state],
        payment_id=row.payment_id,
        external_reference=row.external_reference,
        note=row.note,
        create_time=timestamp(row.created_at),
        update_time=timestamp(row.updated_at),
        etag=str(row.version),
        reason=row.reason,
    )
