"""The fulfilment of an order as it is stored: a JSON document beside the order, null until something has happened.

    {"shipments": [{"id": "shp_…", "carrier": "DHL", "tracking": "…", "at": "2026-…", "delivered_at": null,
                    "lines": [["prd_…", 2, 0]]}]}

A line has the product, its units, and how many of them went on: were delivered. Releases to come may add keys.
"""

import json
from datetime import datetime
from typing import Any

from services.order.domain.fulfilment import Fulfilment, OrderedLine, Shipment, ShipmentLine


def read(order_id: str, row: Any) -> Fulfilment:
    """From a row with the document `fulfilment` (parsed) and the order's lines."""
    lines = zip(row.product_ids, row.quantities, row.unit_prices, strict=True)
    stored = row.fulfilment or {}
    return Fulfilment(
        order_id,
        [OrderedLine(*line) for line in lines],
        [_shipment(shipment) for shipment in stored.get("shipments", ())],
    )


def write(fulfilment: Fulfilment | None) -> str | None:
    """The document; None where it was not loaded, so that nothing of it has changed."""
    if fulfilment is None:
        return None
    return json.dumps({"shipments": [shipment_to_json(s) for s in fulfilment.shipments]}, separators=(",", ":"))


def shipment_to_json(shipment: Shipment) -> dict[str, Any]:
    """A shipment of the document."""
    return {
        "id": shipment.shipment_id,
        "carrier": shipment.carrier,
        "tracking": shipment.tracking_number,
        "at": shipment.shipped_at.isoformat(),
        "delivered_at": shipment.delivered_at.isoformat() if shipment.delivered_at else None,
        "lines": [[line.product_id, line.quantity, line.delivered] for line in shipment.lines],
    }


def _shipment(stored: dict[str, Any]) -> Shipment:
    delivered_at = stored["delivered_at"]
    return Shipment(
        shipment_id=stored["id"],
        carrier=stored["carrier"],
        tracking_number=stored["tracking"],
        shipped_at=datetime.fromisoformat(stored["at"]),
        lines=[ShipmentLine(*line) for line in stored["lines"]],
        delivered_at=datetime.fromisoformat(delivered_at) if delivered_at else None,
    )
