"""Products as this process last saw them, so that an order is priced without asking the database.

Safe because nothing rests on it: the write names the version that was seen and fails where the product has changed, and
whoever would refuse an order for what stands here looks again first. Stock is never read from here.
"""

import time
from collections.abc import Collection, Mapping

from services.order.domain.product import Product
from services.order.products.repository import ProductRepository

KEEP = 60.0
"""Seconds that a product is remembered."""
MOST = 20_000
"""Products that are remembered."""


class Catalogue:
    """A small cache in front of the repository."""

    def __init__(self, repository: ProductRepository) -> None:
        self._repository = repository
        self._seen: dict[str, tuple[float, Product]] = {}

    async def get(self, product_ids: Collection[str]) -> Mapping[str, Product]:
        """Those that exist, as of now or a minute ago."""
        seen, now = self._seen, time.monotonic()
        found = {}
        for product_id in product_ids:
            known = seen.get(product_id)
            if known is None or known[0] < now:
                return await self.refresh(product_ids)
            found[product_id] = known[1]
        return found

    async def refresh(self, product_ids: Collection[str]) -> Mapping[str, Product]:
        """Those that exist, as of now."""
        if len(self._seen) + len(product_ids) > MOST:
            self._seen.clear()
        until = time.monotonic() + KEEP
        found = {product.product_id: product for product in await self._repository.get_all(product_ids)}
        for product_id in product_ids:
            self._seen.pop(product_id, None)
        self._seen.update({product_id: (until, product) for product_id, product in found.items()})
        return found
