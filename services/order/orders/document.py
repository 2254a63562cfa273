"""The fulfilment of an order as it is stored: a JSON document beside the order, null until something has happened.

Shipments:

    {"shipments": [{"id": "shp_…", "carrier": "DHL", "tracking": "…", "at": "2026-…", "delivered_at": null,
                    "lines": [["prd_…", 2, 0]]}]}

Returns, in a column of their own, which releases without returns leave as it is:

    [{"id": "rtn_…", "state": "APPROVED", "reason": "…", "at": "2026-…", "decision": "", "decided_at": "2026-…",
      "received_at": null, "refund": 0, "lines": [["prd_…", 1, 0]]}]

Charges, in a column of their own, which is written once:

    [["SHIPPING", "Standard shipping", 499, 0], ["TAX", "VAT", 1995, 200000]]

A line has the product, its units, and how many of them went on: were delivered, or have
come back. Releases to come may add keys.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.order.domain.fulfilment import Fulfilment, OrderedLine, Shipment, ShipmentLine
from services.order.domain.pricing import AppliedCharge
from services.order.domain.returns import Return, ReturnLine, Returns, ReturnState


def read(order_id: str, row: Any) -> Fulfilment:
    """From a row with the document `fulfilment` (parsed) and the order's lines."""
    lines = zip(row.product_ids, row.quantities, row.unit_prices, row.taxes, strict=True)
    stored = row.fulfilment or {}
    return Fulfilment(
        order_id,
        [OrderedLine(*line) for line in lines],
        [_shipment(shipment) for shipment in stored.get("shipments", ())],
        Returns(order_id, [_return(made) for made in row.returns or ()]),
    )


def write_metadata(metadata: Mapping[str, str] | None) -> str | None:
    """The caller's own data; None where it stays as it is."""
    return None if metadata is None else json.dumps(metadata, ensure_ascii=False)


def write(fulfilment: Fulfilment | None) -> str | None:
    """The document; None where it was not loaded, so that nothing of it has changed."""
    if fulfilment is None:
        return None
    return json.dumps({"shipments": [shipment_to_json(s) for s in fulfilment.shipments]}, separators=(",", ":"))


def write_returns(fulfilment: Fulfilment | None) -> str | None:
    """The document of the returns; None where there are none, or they were not loaded."""
    if fulfilment is None or not fulfilment.returns.made:
        return None
    return json.dumps([return_to_json(made) for made in fulfilment.returns.made], separators=(",", ":"))


def write_charges(charges: Sequence[AppliedCharge]) -> str | None:
    """The document of the charges; None where there are none."""
    return json.dumps(charges, separators=(",", ":")) if charges else None


def return_to_json(made: Return) -> dict[str, Any]:
    return {
        "id": made.return_id,
        "state": made.state.value,
        "reason": made.reason,
        "at": made.requested_at.isoformat(),
        "decision": made.decision_reason,
        "decided_at": _text(made.decided_at),
        "received_at": _text(made.received_at),
        "refund": made.refund_minor,
        "lines": [[line.product_id, line.quantity, line.received] for line in made.lines],
    }


def shipment_to_json(shipment: Shipment) -> dict[str, Any]:
    return {
        "id": shipment.shipment_id,
        "carrier": shipment.carrier,
        "tracking": shipment.tracking_number,
        "at": shipment.shipped_at.isoformat(),
        "delivered_at": _text(shipment.delivered_at),
        "lines": [[line.product_id, line.quantity, line.delivered] for line in shipment.lines],
    }


def _shipment(stored: dict[str, Any]) -> Shipment:
    return Shipment(
        shipment_id=stored["id"],
        carrier=stored["carrier"],
        tracking_number=stored["tracking"],
        shipped_at=datetime.fromisoformat(stored["at"]),
        lines=[ShipmentLine(*line) for line in stored["lines"]],
        delivered_at=_time(stored["delivered_at"]),
    )


def _return(stored: dict[str, Any]) -> Return:
    return Return(
        return_id=stored["id"],
        lines=[ReturnLine(*line) for line in stored["lines"]],
        reason=stored["reason"],
        requested_at=datetime.fromisoformat(stored["at"]),
        state=ReturnState(stored["state"]),
        decision_reason=stored["decision"],
        decided_at=_time(stored["decided_at"]),
        received_at=_time(stored["received_at"]),
        refund_minor=stored["refund"],
    )


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
