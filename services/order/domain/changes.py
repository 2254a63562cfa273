"""What comes of a change of an order: the next step of its payment, events, and refunds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import NamedTuple

from services.order.domain.fulfilment import Quantities, Shipment
from services.order.domain.payment import Refund
from services.order.domain.returns import Return
from services.order.domain.states import OrderState, PaymentState


class Step(Enum):
    """The next call to the payment provider. `REVERSE`: void what is authorized, refund what is captured."""

    AUTHORIZE = auto()
    CONFIRM = auto()
    FIND = auto()
    CAPTURE = auto()
    REFUND = auto()
    REVERSE = auto()
    NONE = auto()


class Earlier(NamedTuple):
    """A change that is written together with the one that came of it, by the same actor."""

    version: int
    state: OrderState
    payment_state: PaymentState
    change: str


class OrderMoveRefused(Exception):
    """The order has changed. Raised for code that acts on an older state, never for a caller."""


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something that happened to an order.

    `amount_minor` is set where money moved, `code` where a payment failed, `url` where the payer must act, `refund_id` of a
    refund, `shipment`, `returned` and `units` where goods did, `fields` where a buyer changed what they say.
    """

    type: str
    reason: str = ""
    amount_minor: int = 0
    code: str = ""
    url: str = ""
    refund_id: str = ""
    shipment: Shipment | None = None
    returned: Return | None = None
    units: Quantities = field(default_factory=dict)
    fields: tuple[str, ...] = ()


class Details(NamedTuple):
    """What a buyer says of an order; None for what stays as it is. The address is serialized."""

    note: str | None = None
    metadata: Mapping[str, str] | None = None
    shipping_address: bytes | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The names of those that change."""
        return tuple(name for name, value in self._asdict().items() if value is not None)


NO_DETAILS = Details()
"""Nothing changes of what the buyer says."""


class RefundState(StrEnum):
    """The contract's names without their prefix."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class RefundChange(NamedTuple):
    """A refund that was requested, or what became of it. `reason` is why it was requested, or why it failed."""

    refund: Refund
    state: RefundState
    reason: str = ""
    actor: str = ""
    return_id: str = ""
