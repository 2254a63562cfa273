"""Products, remembered: the write checks what an order says of them, so that a price that has changed is never charged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from asyncpg import Pool

from bench.peers.refusals import Refused

REMEMBERED = 100_000
_READ = (
    "SELECT product_id, title, price_minor, currency, active, stock FROM products WHERE product_id = ANY($1::text[])"
)


@dataclass(frozen=True, slots=True)
class Article:
    """A product as it was last read. `price` in the currency's smallest unit."""

    title: str
    price: int
    currency: str


class Catalogue:
    """Products by id."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[str, Article] = {}

    async def find(self, wanted: Mapping[str, int]) -> list[Article]:
        """What the order asks for (from product to quantity), in its order. Raises `Refused`."""
        known = self._known
        if not all(product_id in known for product_id in wanted):
            await self.read(wanted)
        articles = [known[product_id] for product_id in wanted]
        if len(articles) > 1 and len({article.currency for article in articles}) > 1:
            raise Refused("INVALID_ARGUMENT", "CURRENCY_MIXED", "The products have different currencies.")
        return articles

    async def read(self, wanted: Mapping[str, int]) -> None:
        """Reads the products again. Raises `Refused` where they cannot be ordered so."""
        self._forget(wanted)
        rows = {row["product_id"]: row for row in await self._pool.fetch(_READ, list(wanted))}
        for product_id, quantity in wanted.items():
            row = rows.get(product_id)
            if row is None:
                raise Refused("NOT_FOUND", "PRODUCT_NOT_FOUND", f"There is no product {product_id}.")
            if not row["active"]:
                raise Refused("FAILED_PRECONDITION", "PRODUCT_INACTIVE", f"{product_id} cannot be ordered.")
            if row["stock"] < quantity:
                message = f"Only {row['stock']} of {product_id} are left and {quantity} were asked for."
                raise Refused("FAILED_PRECONDITION", "OUT_OF_STOCK", message)
        for product_id, row in rows.items():
            self._known[product_id] = Article(row["title"], row["price_minor"], row["currency"])

    def _forget(self, products: Iterable[str]) -> None:
        if len(self._known) > REMEMBERED:
            self._known.clear()
        for product_id in products:
            self._known.pop(product_id, None)
