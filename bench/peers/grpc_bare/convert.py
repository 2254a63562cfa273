"""Between rows and messages."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from weft.order.v1 import money_pb2, order_pb2
from weft.user.v1 import user_pb2

from bench.peers import models


def order(row: models.Order) -> order_pb2.Order:
    """The order as its owner sees it."""
    lines = [
        order_pb2.OrderLine(
            product_id=line.product_id,
            title=line.title,
            quantity=line.quantity,
            unit_price=money_pb2.Money(amount_minor=line.unit_price_minor, currency=row.currency),
        )
        for line in row.lines
    ]
    message = order_pb2.Order(
        order_id=row.order_id,
        customer_id=row.customer_id,
        partner_id=row.partner_id,
        lines=lines,
        total=money_pb2.Money(amount_minor=row.total_minor, currency=row.currency),
        state=order_pb2.OrderState.Value(row.state),
        payment_state=order_pb2.PaymentState.Value(row.payment_state),
        payment_id=row.payment_id,
        external_reference=row.external_reference,
        note=row.note,
        etag=row.etag,
        reason=row.reason,
    )
    message.create_time.CopyFrom(_timestamp(row.create_time))
    message.update_time.CopyFrom(_timestamp(row.update_time))
    return message


def user(row: models.User) -> user_pb2.User:
    """The user as a service sees it."""
    message = user_pb2.User(
        user_id=row.user_id,
        email=row.email,
        display_name=row.display_name,
        locale=row.locale,
        state=user_pb2.UserState.Value(row.state),
        partner_id=row.partner_id,
    )
    message.create_time.CopyFrom(_timestamp(row.create_time))
    message.update_time.CopyFrom(_timestamp(row.update_time))
    return message


def _timestamp(when: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(when)
    return stamp
