"""The returns of an order: delivered units that come back, and what is refunded for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.order.domain.refusals import (
    NoReturnRequested,
    NothingToReturn,
    OrderLineNotFound,
    ReturnAlreadyDecided,
    ReturnAlreadyReceived,
    ReturnExceedsDelivery,
    ReturnExceedsRequest,
    ReturnNotApproved,
    ReturnNotFound,
    TooManyReturns,
)

MAX_RETURNS = 20
"""Of one order, the refused ones included."""

Quantities = Mapping[str, int]
"""Units by product."""


class ReturnState(StrEnum):
    """The contract's names without their prefix."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    PARTIALLY_RECEIVED = "PARTIALLY_RECEIVED"
    RECEIVED = "RECEIVED"


@dataclass(slots=True)
class ReturnLine:
    """Units of one product in a return."""

    product_id: str
    quantity: int
    received: int = 0


@dataclass(slots=True)
class Return:
    """Units that are to come back. `refund_minor` is what was requested to be refunded for those that have."""

    return_id: str
    lines: list[ReturnLine]
    reason: str
    requested_at: datetime
    state: ReturnState = ReturnState.REQUESTED
    decision_reason: str = ""
    decided_at: datetime | None = None
    received_at: datetime | None = None
    refund_minor: int = 0

    @property
    def pending(self) -> dict[str, int]:
        """Units by product that have not come back."""
        return {line.product_id: line.quantity - line.received for line in self.lines if line.received < line.quantity}


@dataclass(slots=True)
class Returns:
    """All returns of an order."""

    order_id: str
    made: list[Return] = field(default_factory=list)

    @property
    def claimed(self) -> dict[str, int]:
        """Units by product that are in a return which was not refused."""
        units: dict[str, int] = {}
        for found in self.made:
            if found.state is not ReturnState.REFUSED:
                for line in found.lines:
                    units[line.product_id] = units.get(line.product_id, 0) + line.quantity
        return units

    @property
    def received(self) -> dict[str, int]:
        """Units by product that have come back."""
        units: dict[str, int] = {}
        for found in self.made:
            for line in found.lines:
                units[line.product_id] = units.get(line.product_id, 0) + line.received
        return units

    def request(
        self, return_id: str, requested: Quantities, delivered: Quantities, reason: str, now: datetime
    ) -> Return:
        """`requested` is empty for all that can be. `delivered` has every product of the order. Raises a refusal."""
        claimed = self.claimed
        left = {product: units - claimed.get(product, 0) for product, units in delivered.items()}
        for product in requested:
            if product not in left:
                raise OrderLineNotFound(order_id=self.order_id, product_id=product)
        units = requested or {product: number for product, number in left.items() if number}
        if not any(left.values()):
            raise NothingToReturn(order_id=self.order_id)
        for product, asked in units.items():
            if asked > left[product]:
                raise ReturnExceedsDelivery(product_id=product, requested=str(asked), available=str(left[product]))
        if len(self.made) >= MAX_RETURNS:
            raise TooManyReturns(limit=str(MAX_RETURNS))
        new = Return(return_id, [ReturnLine(*unit) for unit in units.items()], reason, now)
        self.made.append(new)
        return new

    def decide(self, return_id: str, state: ReturnState, reason: str, now: datetime) -> Return:
        """Approve or refuse. Raises a refusal where there is nothing to decide."""
        found = self._get(return_id)
        if found.state is not ReturnState.REQUESTED:
            raise ReturnAlreadyDecided(return_id=return_id, state=found.state)
        found.state, found.decision_reason, found.decided_at = state, reason, now
        return found

    def receive(self, return_id: str, requested: Quantities, now: datetime) -> tuple[Return, dict[str, int]]:
        """The return, and the units that have come back now; `requested` is empty for all that are to. Raises a refusal."""
        found = self._get(return_id)
        if found.state is ReturnState.RECEIVED:
            raise ReturnAlreadyReceived(return_id=return_id)
        if found.state not in (ReturnState.APPROVED, ReturnState.PARTIALLY_RECEIVED):
            raise ReturnNotApproved(return_id=return_id, state=found.state)
        lines, pending = {line.product_id: line for line in found.lines}, found.pending
        units = dict(requested) or pending
        for product, asked in units.items():
            if product not in lines:
                raise OrderLineNotFound(order_id=self.order_id, product_id=product)
            if asked > pending.get(product, 0):
                left = str(pending.get(product, 0))
                raise ReturnExceedsRequest(product_id=product, requested=str(asked), available=left)
        for product, number in units.items():
            lines[product].received += number
        found.state = ReturnState.PARTIALLY_RECEIVED if found.pending else ReturnState.RECEIVED
        found.received_at = now
        return found, units

    def _get(self, return_id: str) -> Return:
        if not self.made:
            raise NoReturnRequested(order_id=self.order_id)
        for found in self.made:
            if found.return_id == return_id:
                return found
        raise ReturnNotFound(return_id=return_id)
