"""`python -m services.order seed COUNT --run RUN --customers N`: orders of made-up customers, for trials and measurements.

Nine of ten are paid in the sandbox, whose books have the charge; the tenth was cancelled before anything was charged. Half
are sent to an address, with shipping and tax.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import Any

from weft.order.v1.shipping_address_pb2 import ShippingAddress

from chassis.app import App
from chassis.commands import seeding
from chassis.commands.seeding import Plan, Rows
from chassis.security.encryption import Vault
from services.order.domain import order_number
from services.order.domain.charges import Charge, ChargeKind, ChargeTable
from services.order.domain.pricing import Line, Price
from services.order.feed.tables import order_changes
from services.order.order_rows import ADDRESS_CONTEXT
from services.order.orders import document
from services.order.orders.tables import order_lines, orders
from services.order.payments.gateways.tables import sandbox_charges
from services.order.payments.tables import payment_movements, payments
from services.order.products.tables import products

PRODUCTS = 500
STOCK = 1_000_000
THINGS = ("Kettle", "Lamp", "Notebook", "Bicycle bell", "Teapot", "Scarf", "Chess set", "Headphones", "Backpack", "Mug")
STYLES = ("small", "large", "red", "blue", "green", "wooden", "steel", "folding", "classic", "travel")
METHOD = "pm_sandbox_ok"
CHARGES = ChargeTable(
    1,
    [
        Charge(ChargeKind.SHIPPING, "AT", "Post", "EUR", 499, free_from_minor=10_000),
        Charge(ChargeKind.TAX, "AT", "VAT", rate=200_000, taxes_shipping=True),
    ],
)


async def seed(app: App, words: Sequence[str]) -> AsyncIterator[str]:
    """Make the orders and what they are of; yields the progress. Raises `SettingsError`."""
    wish = seeding.read(app.settings, app.clock.now(), words)
    plan, customers, catalogue = wish.plan, wish.customers, Plan(wish.plan.run, PRODUCTS, wish.plan.now)

    def rows(numbers: Iterable[int]) -> Rows:
        made = [_order(plan, customers, catalogue, number) for number in numbers]
        for each in made:
            _send(app.vault, each[orders][0])
        first = [_product(catalogue, number) for number in range(PRODUCTS)] if numbers and 0 in numbers else []
        return {products: first, **{table: [row for each in made for row in each[table]] for table in _TABLES}}

    async for line in seeding.fill(app.database_url, plan, "orders", rows, tables=[products, *_TABLES]):
        yield line


_TABLES = (orders, order_lines, payments, payment_movements, order_changes, sandbox_charges)


def _product(catalogue: Plan, number: int) -> dict[str, Any]:
    style, thing = STYLES[catalogue.draw(number, len(STYLES), "style")], THINGS[number % len(THINGS)]
    return {
        "product_id": catalogue.id("prd", number),
        "partner_id": "",
        "title": f"{thing}, {style}, no. {number}",
        "price_minor": _price(catalogue, number),
        "currency": "EUR",
        "stock": STOCK,
        "active": True,
        "version": 1,
        "created_at": catalogue.time(number),
        "updated_at": catalogue.time(number),
        "mode": "LIVE",
    }


def _price(catalogue: Plan, number: int) -> int:
    return 190 + 10 * catalogue.draw(number, 2_000, "price")


def _order(plan: Plan, customers: Plan, catalogue: Plan, number: int) -> dict[Any, list[dict[str, Any]]]:
    """The rows of one order, by table."""
    made = plan.time(number)
    done = made + timedelta(seconds=1)
    order_id, payment_id = plan.id("ord", number), plan.id("pay", number)
    customer = plan.draw(number, customers.count or max(1, plan.count // 10), "customer")
    paid = plan.draw(number, 10, "paid") > 0
    price = _order_price(plan, catalogue, number)
    total = price.total_minor
    order = {
        "order_id": order_id,
        "customer_id": (customers if customers.count else plan).id("usr", customer),
        "partner_id": "",
        "mode": "LIVE",
    }
    state, payment_state = ("CONFIRMED", "CAPTURED") if paid else ("CANCELLED", "VOIDED")
    changes = [
        {"version": 1, "state": "PENDING", "payment_state": "PENDING", "change": "order.placed", "changed_at": made},
        {"version": 2, "state": state, "payment_state": payment_state, "change": f"order.{state.lower()}", "changed_at": done},
    ]  # fmt: skip
    captured = total if paid else 0
    payment = {
        "payment_id": payment_id, "order_id": order_id, "method": METHOD, "amount_minor": total, "currency": "EUR",
        "state": payment_state, "provider_contacted": paid, "captured_minor": captured, "authorized_minor": captured,
        "provider_reference": f"{payment_id}/1" if paid else "", "created_at": made, "updated_at": done,
    }  # fmt: skip
    movement = {
        "payment_id": payment_id, "order_id": order_id, "amount_minor": total, "currency": "EUR", "attempt": 1,
        "provider_reference": f"{payment_id}/1", "created_at": done,
    }  # fmt: skip
    charge = {
        "key": f"{payment_id}/1", "method": METHOD, "amount_minor": total, "currency": "EUR", "state": "CAPTURED",
        "reason": "", "settles_at": made, "created_at": made, "captured_minor": total, "captures": 1,
    }  # fmt: skip
    return {
        orders: [
            {
                **order, "order_number": order_number.of(plan.draw(number, 2**63, "number")), "currency": "EUR", "total_minor": total, "state": state, "payment_id": payment_id,
                "payment_state": payment_state, "external_reference": "", "note": "", "version": 2, "events": 2,
                "reason": "" if paid else "CANCELLED_BY_CUSTOMER", "charges": document.write_charges(price.charges),
                "created_at": made, "updated_at": done,
            }
        ],
        order_lines: [{"order_id": order_id, "line": at, **line._asdict()} for at, line in enumerate(price.lines, 1)],
        payments: [payment],
        payment_movements: [{**movement, "kind": kind} for kind in ("AUTHORIZED", "CAPTURED")] if paid else [],
        order_changes: [{**order, "reason": "", "actor": "seed", **change} for change in changes],
        sandbox_charges: [charge] if paid else [],
    }  # fmt: skip


def _order_price(plan: Plan, catalogue: Plan, number: int) -> Price:
    """Of one to three lines of products that differ."""
    first = plan.draw(number, PRODUCTS, "product")
    chosen = [(first + 7 * line) % PRODUCTS for line in range(1 + plan.draw(number, 3, "lines"))]
    lines = [
        Line(
            catalogue.id("prd", product),
            _product(catalogue, product)["title"],
            1 + plan.draw(number, 3, f"quantity {line}"),
            _price(catalogue, product),
        )
        for line, product in enumerate(chosen, start=1)
    ]
    price = Price(lines, sum(line.quantity * line.unit_price_minor for line in lines), "EUR")
    return CHARGES.apply(price, "AT" if plan.draw(number, 2, "sent") else "")


def _send(vault: Vault, order: dict[str, Any]) -> None:
    """Add the address, encrypted, to an order with charges."""
    address = ShippingAddress(recipient="Ada Example", lines=["Ringstrasse 1"], locality="Wien", postal_code="1010")
    address.region_code = "AT"
    sent = order["charges"] is not None
    order["shipping_address_sealed"] = vault.seal(address.SerializeToString(), ADDRESS_CONTEXT) if sent else None
