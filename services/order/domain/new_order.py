"""An order that is about to be placed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from services.order.domain.changes import DomainEvent
from services.order.domain.payment import Capture, Payment
from services.order.domain.pricing import AppliedCharge, Line, Price
from services.order.domain.product import Product
from services.order.domain.states import OrderState

_NO_METADATA: Mapping[str, str] = MappingProxyType({})


class OrderDraft(NamedTuple):
    """What a buyer orders. `quantities`: units by product. `partner_id` is empty for users who buy for themselves.

    `expected_total`: amount and currency that the buyer was shown. `address` is serialized, `region` its country; both are
    empty for an order without one.
    """

    customer_id: str
    partner_id: str
    quantities: Mapping[str, int]
    payment_method: str
    external_reference: str
    note: str
    actor: str
    mode: str = "LIVE"
    capture_when: Capture = Capture.AT_ONCE
    expected_total: tuple[int, str] | None = None
    address: bytes = b""
    region: str = ""
    metadata: Mapping[str, str] = _NO_METADATA


class NewOrder(NamedTuple):
    """An order as it is placed: in its first state, at version 1, with its first event.

    `product_versions`: of each line's product, as the buyer was shown it. `reserves`: whether a line takes units from stock;
    in TEST only those of products of TEST do.
    """

    order_id: str
    order_number: str
    customer_id: str
    partner_id: str
    lines: list[Line]
    product_versions: list[int]
    reserves: list[bool]
    total_minor: int
    currency: str
    payment: Payment
    external_reference: str
    note: str
    actor: str
    placed_at: datetime
    state: OrderState = OrderState.PENDING
    version: int = 1
    domain_event: DomainEvent = DomainEvent("order.placed")
    mode: str = "LIVE"
    charges: Sequence[AppliedCharge] = ()
    subtotal_minor: int = 0
    address: bytes = b""
    metadata: Mapping[str, str] = _NO_METADATA

    @classmethod
    def place(
        cls,
        order_id: str,
        order_number: str,
        payment_id: str,
        draft: OrderDraft,
        price: Price,
        products: Sequence[Product],
        now: datetime,
    ) -> "NewOrder":
        """A draft at its price, with a payment that the provider does not know yet. `products`: of its lines."""
        return cls(
            order_id=order_id,
            order_number=order_number,
            customer_id=draft.customer_id,
            partner_id=draft.partner_id,
            lines=price.lines,
            product_versions=[product.version for product in products],
            reserves=[product.mode == draft.mode for product in products],
            total_minor=price.total_minor,
            currency=price.currency,
            payment=Payment(
                payment_id,
                draft.payment_method,
                price.total_minor,
                price.currency,
                capture_when=draft.capture_when,
            ),
            external_reference=draft.external_reference,
            note=draft.note,
            actor=draft.actor,
            placed_at=now,
            mode=draft.mode,
            charges=price.charges,
            subtotal_minor=price.subtotal_minor,
            address=draft.address,
            metadata=draft.metadata,
        )
