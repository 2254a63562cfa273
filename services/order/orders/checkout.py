"""Checkout: price what is ordered, insert the order, and repeat if the catalogue has changed in between."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from chassis import ids
from chassis.clock import Clock
from chassis.errors import Overloaded, WeftError
from chassis.rpc.idempotency import Record
from services.order.charges.current import CurrentCharges
from services.order.domain import order_number
from services.order.domain.charges import ChargeTable
from services.order.domain.new_order import NewOrder, OrderDraft
from services.order.domain.pricing import Price, price, refuse_shortage
from services.order.domain.product import Product
from services.order.orders.repository import Conflict, OrderRepository
from services.order.products.catalogue import Catalogue

MAX_ATTEMPTS = 5
"""Inserts that meet a concurrent change of the catalogue before the caller is asked to retry later."""


class Checkout:
    """Prices and places orders."""

    def __init__(self, catalogue: Catalogue, charges: CurrentCharges, orders: OrderRepository, clock: Clock) -> None:
        self._catalogue = catalogue
        self._charges = charges
        self._orders = orders
        self._clock = clock

    async def quote(self, quantities: Mapping[str, int], region: str, mode: str) -> tuple[Price, bool]:
        """The current price in a country and a mode, and whether every line is in stock."""
        catalogue = await self._catalogue.refresh(list(quantities))
        priced = (await self._charges.refresh()).apply(price(quantities, catalogue, mode), region).payable()
        return priced, all(catalogue[product_id].stock >= quantity for product_id, quantity in quantities.items())

    async def place(self, draft: OrderDraft, traceparent: str, record: Callable[[NewOrder], Record]) -> None:
        """Place an order. `record` makes the idempotency record of the call from the order that is tried; the last one is stored.

        Raises the errors of `pricing`, `PriceChanged` where the buyer was shown another total, `ExternalReferenceTaken`, and `UniqueViolation` if the key was used before.
        """
        catalogue, priced = await self._price(draft)
        for _ in range(MAX_ATTEMPTS):
            order = self._new_order(draft, priced, catalogue)
            conflict = await self._orders.insert(order, record(order), traceparent)
            if conflict is None:
                return
            if conflict is Conflict.STOCK:
                catalogue, priced = await self._reprice(draft)
                refuse_shortage(draft.quantities, catalogue)
        raise Overloaded(retry_after=timedelta(seconds=1))

    async def _price(self, draft: OrderDraft) -> tuple[Mapping[str, Product], Price]:
        catalogue = await self._catalogue.get(list(draft.quantities))
        try:
            return catalogue, _price(draft, catalogue, await self._charges.get())
        except WeftError:  # a cache may be out of date: nobody is refused because of it
            return await self._reprice(draft)

    async def _reprice(self, draft: OrderDraft) -> tuple[Mapping[str, Product], Price]:
        catalogue = await self._catalogue.refresh(list(draft.quantities))
        return catalogue, _price(draft, catalogue, await self._charges.refresh())

    def _new_order(self, draft: OrderDraft, priced: Price, catalogue: Mapping[str, Product]) -> NewOrder:
        now = self._clock.now()
        order_id = ids.new("ord", now)
        payment_id = f"pay{order_id.removeprefix('ord')}"
        products = [catalogue[line.product_id] for line in priced.lines]
        return NewOrder.place(order_id, order_number.new(), payment_id, draft, priced, products, now)


def _price(draft: OrderDraft, catalogue: Mapping[str, Product], charges: ChargeTable) -> Price:
    priced = price(draft.quantities, catalogue, draft.mode)
    return charges.apply(priced, draft.region).payable().require(draft.expected_total)
