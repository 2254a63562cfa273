"""The demo catalogue, with the same ids on every machine."""

from typing import NamedTuple

from chassis import ids
from chassis.app import App
from services.order.domain.product import Product
from services.order.products.repository import ProductRepository


class _Seed(NamedTuple):
    title: str
    price_minor: int
    stock: int


CATALOGUE = (
    _Seed("Notebook, linen, 192 pages", 1490, 1_000_000),
    _Seed("Fountain pen, steel nib", 3900, 1_000_000),
    _Seed("Ink, blue-black, 50 ml", 1250, 1_000_000),
    _Seed("Letter paper, 100 sheets", 2200, 1_000_000),
    _Seed("Sealing wax, crimson", 890, 1_000_000),
    _Seed("Bone folder", 790, 1_000_000),
    _Seed("Desk lamp, brass", 12900, 1_000_000),
    _Seed("Hand-bound atlas, numbered", 48000, 3),  # little stock, to see an order refused
)
_ID_TIME_MS = 0x01_99_00_00_00_00
"""The time in the ids: a fixed one, in 2025."""


def product_id(number: int) -> str:
    """The id of a product by its index in `CATALOGUE`."""
    return "prd_" + ids.encode(_ID_TIME_MS << 80 | 0x7 << 76 | 0b10 << 62 | number + 1)


async def bootstrap(app: App) -> None:
    """Insert the demo products that do not exist yet."""
    products = ProductRepository(app.database)
    for number, seed in enumerate(CATALOGUE):
        await products.insert_if_absent(
            Product(
                product_id=product_id(number),
                partner_id="",
                title=seed.title,
                price_minor=seed.price_minor,
                currency="EUR",
                stock=seed.stock,
                active=True,
                version=1,
                created_at=app.clock.now(),
                updated_at=app.clock.now(),
            )
        )
