"""Orders as callers see them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from weft.order.v1.money_pb2 import Money
from weft.order.v1.order_pb2 import Order, OrderLine, OrderState, PaymentState
from weft.order.v1.payment_pb2 import PaymentFailureCode

from services.order.domain.pricing import Line

STATES = {name.removeprefix("ORDER_STATE_"): number for name, number in OrderState.items()}
"""Order states of the contract by the names that rows have."""
PAYMENT_STATES = {name.removeprefix("PAYMENT_STATE_"): number for name, number in PaymentState.items()}
"""Payment states of the contract by the names that rows have."""

FAILURE_CODES = {name.removeprefix("PAYMENT_FAILURE_CODE_"): number for name, number in PaymentFailureCode.items()} | {
    "": PaymentFailureCode.PAYMENT_FAILURE_CODE_UNSPECIFIED
}
"""Why a payment failed, by the names that rows have; of one that has not failed, none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def timestamp(time: datetime) -> Timestamp:
    """A time as the contract has it; a third of what `FromDatetime` costs."""
    seconds, micros = divmod((time - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def etag(version: int) -> str:
    """Changes with every change of the order."""
    return str(version)


def lines(priced: Iterable[Line | tuple[str, str, int, int]], currency: str) -> list[OrderLine]:
    """Priced lines."""
    return [
        OrderLine(product_id=p, title=t, quantity=q, unit_price=Money(amount_minor=unit, currency=currency))
        for p, t, q, unit in priced
    ]


def order(row: Any) -> Order:
    """An order from a row of `OrderRepository`."""
    currency = row.currency
    return Order(
        order_id=row.order_id,
        customer_id=row.customer_id,
        partner_id=row.partner_id,
        lines=lines(zip(row.product_ids, row.titles, row.quantities, row.unit_prices, strict=True), currency),
        total=Money(amount_minor=row.total_minor, currency=currency),
        state=STATES[row.state],
        payment_state=PAYMENT_STATES[row.payment_state],
        payment_id=row.payment_id,
        external_reference=row.external_reference,
        note=row.note,
        create_time=timestamp(row.created_at),
        update_time=timestamp(row.updated_at),
        etag=etag(row.version),
        reason=row.reason,
    )
