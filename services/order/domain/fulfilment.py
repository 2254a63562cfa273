"""The fulfilment of an order: what was shipped and delivered, unit by unit. Its state follows from the numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.order.domain.refusals import (
    DeliveryExceedsShipment,
    OrderAlreadyDelivered,
    OrderAlreadyShipped,
    OrderLineNotFound,
    OrderNotShipped,
    ShipmentExceedsOrder,
    ShipmentNotFound,
    TooManyShipments,
)
from services.order.domain.returns import Returns
from services.order.domain.states import FulfilmentState

MAX_SHIPMENTS = 50
"""Of one order."""

Quantities = Mapping[str, int]
"""Units by product."""


class OrderedLine(NamedTuple):
    """A line as it was placed; one for each product."""

    product_id: str
    quantity: int
    unit_price_minor: int
    tax_minor: int = 0


@dataclass(slots=True)
class ShipmentLine:
    """Units of one product in a shipment."""

    product_id: str
    quantity: int
    delivered: int = 0


@dataclass(slots=True)
class Shipment:
    """Units that left together."""

    shipment_id: str
    carrier: str
    tracking_number: str
    shipped_at: datetime
    lines: list[ShipmentLine]
    delivered_at: datetime | None = None


@dataclass(slots=True)
class Fulfilment:
    """What happened to the units of an order."""

    order_id: str
    lines: list[OrderedLine]
    shipments: list[Shipment] = field(default_factory=list)
    returns: Returns = field(default_factory=lambda: Returns(""))

    @property
    def ordered(self) -> dict[str, int]:
        """Units by product."""
        return {line.product_id: line.quantity for line in self.lines}

    @property
    def shipped(self) -> dict[str, int]:
        """Units by product."""
        return _sum(self.ordered, ((line.product_id, line.quantity) for s in self.shipments for line in s.lines))

    @property
    def delivered(self) -> dict[str, int]:
        """Units by product."""
        return _sum(self.ordered, ((line.product_id, line.delivered) for s in self.shipments for line in s.lines))

    @property
    def state(self) -> FulfilmentState:
        """A function of the numbers alone."""
        total, shipped, delivered = (sum(units.values()) for units in (self.ordered, self.shipped, self.delivered))
        if not shipped:
            return FulfilmentState.UNFULFILLED
        if shipped < total:
            return FulfilmentState.PARTIALLY_SHIPPED
        returned = sum(self.returns.received.values())
        if delivered < total:
            return FulfilmentState.SHIPPED
        if not returned:
            return FulfilmentState.DELIVERED
        return FulfilmentState.PARTIALLY_RETURNED if returned < total else FulfilmentState.RETURNED

    def paid_minor(self, units: Quantities) -> int:
        """The price paid for units that have come back now, with its tax: the last unit of a line takes the rest of it."""
        received = self.returns.received
        paid = 0
        for line in self.lines:
            if now := units.get(line.product_id, 0):
                after = received[line.product_id]
                paid += line.unit_price_minor * now
                paid += line.tax_minor * after // line.quantity - line.tax_minor * (after - now) // line.quantity
        return paid

    def ship(self, shipment_id: str, requested: Quantities, carrier: str, tracking: str, now: datetime) -> Shipment:
        """`requested` is empty for all that remain. Raises a refusal where they are not there to be shipped."""
        shipped = self.shipped
        left = {product: units - shipped[product] for product, units in self.ordered.items()}
        if not any(left.values()):
            raise OrderAlreadyShipped(order_id=self.order_id)
        units = requested or {product: number for product, number in left.items() if number}
        self._require(units)
        for product, asked in units.items():
            if asked > left[product]:
                raise ShipmentExceedsOrder(product_id=product, requested=str(asked), available=str(left[product]))
        if len(self.shipments) >= MAX_SHIPMENTS:
            raise TooManyShipments(limit=str(MAX_SHIPMENTS))
        made = Shipment(shipment_id, carrier, tracking, now, [ShipmentLine(*unit) for unit in units.items()])
        self.shipments.append(made)
        return made

    def deliver(self, shipment_id: str, requested: Quantities, now: datetime) -> dict[str, int]:
        """The units delivered now, of the oldest shipments first; `requested` is empty for all that are on their way.

        `shipment_id` is empty for any shipment. Raises a refusal where they are not on their way.
        """
        if not self.shipments:
            raise OrderNotShipped(order_id=self.order_id)
        found = [s for s in self.shipments if shipment_id in ("", s.shipment_id)]
        if not found:
            raise ShipmentNotFound(shipment_id=shipment_id)
        pending = [line for s in found for line in s.lines if line.delivered < line.quantity]
        if not pending:
            raise OrderAlreadyDelivered(order_id=self.order_id)
        away = _sum({}, ((line.product_id, line.quantity - line.delivered) for line in pending))
        units = dict(requested) or away
        self._require(units)
        for product, asked in units.items():
            if asked > away.get(product, 0):
                left = str(away.get(product, 0))
                raise DeliveryExceedsShipment(product_id=product, requested=str(asked), available=left)
        remaining = dict(units)
        for line in pending:
            arrived = min(remaining.get(line.product_id, 0), line.quantity - line.delivered)
            line.delivered += arrived
            remaining[line.product_id] = remaining.get(line.product_id, 0) - arrived
        for shipment in found:
            if shipment.delivered_at is None and all(line.delivered == line.quantity for line in shipment.lines):
                shipment.delivered_at = now
        return units

    def _require(self, units: Quantities) -> None:
        """Raises `OrderLineNotFound`."""
        ordered = self.ordered
        for product in units:
            if product not in ordered:
                raise OrderLineNotFound(order_id=self.order_id, product_id=product)


def _sum(start: Mapping[str, int], units: Iterable[tuple[str, int]]) -> dict[str, int]:
    total = dict.fromkeys(start, 0)
    for product, number in units:
        total[product] = total.get(product, 0) + number
    return total
