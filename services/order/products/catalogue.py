"""A cache of products, so that an order is priced without a query.

It may be out of date: the insert of an order has the cached version and fails if the product has changed, and no order is
refused before the product was read again. Stock is never read from here.
"""

import time
from collections.abc import Collection, Mapping

from services.order.domain.product import Product
from services.order.products.repository import ProductRepository

CACHE_TTL_S = 60.0
MAX_CACHED_PRODUCTS = 20_000


class Catalogue:
    """Products by id, cached in the process."""

    def __init__(self, repository: ProductRepository) -> None:
        self._repository = repository
        self._cache: dict[str, tuple[float, Product]] = {}

    async def get(self, product_ids: Collection[str]) -> Mapping[str, Product]:
        """Those that exist, at most `CACHE_TTL_S` old."""
        cache, now = self._cache, time.monotonic()
        found = {}
        for product_id in product_ids:
            cached = cache.get(product_id)
            if cached is None or cached[0] < now:
                return await self.refresh(product_ids)
            found[product_id] = cached[1]
        return found

    async def refresh(self, product_ids: Collection[str]) -> Mapping[str, Product]:
        """Those that exist, read now."""
        if len(self._cache) + len(product_ids) > MAX_CACHED_PRODUCTS:
            self._cache.clear()
        until = time.monotonic() + CACHE_TTL_S
        found = {product.product_id: product for product in await self._repository.list_by_ids(product_ids)}
        for product_id in product_ids:
            self._cache.pop(product_id, None)
        self._cache.update({product_id: (until, product) for product_id, product in found.items()})
        return found
