"""The formats of an export: NDJSON, an order a line; CSV, a line of an order a row."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.rpc import code_pb2
from google.rpc.status_pb2 import Status
from weft.api.v1 import mode_pb2
from weft.order.v1 import charge_pb2, fulfilment_pb2
from weft.order.v1 import order_pb2 as pb

_ORDER = (
    "order_id", "create_time", "update_time", "state", "payment_state", "fulfilment_state", "display_state", "customer_id",
    "partner_id", "external_reference", "payment_id", "currency", "total_minor", "mode", "note", "reason", "order_number",
    "subtotal_minor", "shipping_minor", "tax_minor", "recipient", "address_lines", "locality", "administrative_area",
    "postal_code", "region_code",
)  # fmt: skip
_LINE = (
    "product_id", "title", "quantity", "unit_price_minor", "shipped_quantity", "delivered_quantity", "returned_quantity",
    "line_tax_minor",
)  # fmt: skip
_LATER = ("metadata",)
"""Of the order, behind its line: the columns before stay where they are."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or of another cell (OWASP, CSV injection)."""


class Ndjson:
    """Each line is an order as GetOrder returns it."""

    content_type = "application/x-ndjson"

    def header(self) -> bytes:
        return b""

    def orders(self, orders: Iterable[pb.Order]) -> bytes:
        return b"".join(_json(order) for order in orders)

    def end(self, count: int) -> bytes:
        """The last line of an export that is whole."""
        return json.dumps({"end": {"orders": count}}).encode() + b"\n"

    def error(self, status: Status) -> bytes:
        """The last line of an export that is not whole."""
        said: dict[str, Any] = json_format.MessageToDict(status)
        return json.dumps({"error": said}, ensure_ascii=False).encode() + b"\n"


class Csv:
    """RFC 4180 with a header, in UTF-8; the columns of the order repeat in each of its rows."""

    content_type = "text/csv; charset=utf-8; header=present"

    def header(self) -> bytes:
        return _csv([(*_ORDER, *_LINE, *_LATER)])

    def orders(self, orders: Iterable[pb.Order]) -> bytes:
        return _csv(row for order in orders for row in _rows(order))

    def end(self, count: int) -> bytes:
        """The last row of an export that is whole; no order's id begins like it."""
        return _csv([("#end", count)])

    def error(self, status: Status) -> bytes:
        """The last row of an export that is not whole."""
        return _csv([("#error", code_pb2.Code.Name(status.code), status.message)])


def _json(order: pb.Order) -> bytes:
    said = json_format.MessageToDict(order, always_print_fields_with_no_presence=True)
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _rows(order: pb.Order) -> Iterable[tuple[object, ...]]:
    sent = order.shipping_address
    of_order = (
        order.order_id,
        order.create_time.ToJsonString(),
        order.update_time.ToJsonString(),
        *_states(order),
        order.customer_id,
        order.partner_id,
        order.external_reference,
        order.payment_id,
        order.total.currency,
        order.total.amount_minor,
        mode_pb2.Mode.Name(order.mode).removeprefix("MODE_"),
        order.note,
        order.reason,
        order.order_number,
        order.subtotal.amount_minor,
        _charged(order, charge_pb2.CHARGE_KIND_SHIPPING),
        _charged(order, charge_pb2.CHARGE_KIND_TAX),
        sent.recipient,
        "\n".join(sent.lines),
        sent.locality,
        sent.administrative_area,
        sent.postal_code,
        sent.region_code,
    )
    metadata = json.dumps({**order.metadata}, ensure_ascii=False, sort_keys=True) if order.metadata else ""
    for line in order.lines:
        yield (
            *of_order,
            line.product_id,
            line.title,
            line.quantity,
            line.unit_price.amount_minor,
            line.shipped_quantity,
            line.delivered_quantity,
            line.returned_quantity,
            line.tax_minor,
            metadata,
        )


def _charged(order: pb.Order, kind: charge_pb2.ChargeKind.ValueType) -> int:
    return sum(charge.amount.amount_minor for charge in order.charges if charge.kind == kind)


def _states(order: pb.Order) -> tuple[str, ...]:
    """Their names without prefix."""
    return (
        pb.OrderState.Name(order.state).removeprefix("ORDER_STATE_"),
        pb.PaymentState.Name(order.payment_state).removeprefix("PAYMENT_STATE_"),
        fulfilment_pb2.FulfilmentState.Name(order.fulfilment_state).removeprefix("FULFILMENT_STATE_"),
        pb.OrderDisplayState.Name(order.display_state).removeprefix("ORDER_DISPLAY_STATE_"),
    )


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """Text that a spreadsheet would run stands behind an apostrophe, which it takes for "this is text"."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
