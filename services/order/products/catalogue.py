"""A cache of products, so that an order is priced without a query.

It may be out of date: the insert of an order has the cached version and fails if the product has changed, and no order is
refused before the product was read again. Stock is never read from here.
"""

from collections.abc import Collection, Mapping

from chassis.ttl_cache import TtlCache
from services.order.domain.product import Product
from services.order.products.repository import ProductRepository

CACHE_TTL_S = 600.0
"""The write notices what is out of date: entries expire so that what nobody orders any more is forgotten. A short time would cost a
shop of many products, or of few orders, a query for each order.
"""
MAX_CACHED_PRODUCTS = 20_000


class Catalogue:
    """Products by id, cached in the process."""

    def __init__(self, products: ProductRepository) -> None:
        self._products = products
        self._cache: TtlCache[str, Product] = TtlCache(CACHE_TTL_S, MAX_CACHED_PRODUCTS)

    async def get(self, product_ids: Collection[str]) -> Mapping[str, Product]:
        """Those that exist, at most `CACHE_TTL_S` old."""
        return self._cache.get_all(product_ids) or await self.refresh(product_ids)

    async def refresh(self, product_ids: Collection[str]) -> Mapping[str, Product]:
        """Those that exist, read now."""
        found = {product.product_id: product for product in await self._products.list_by_ids(product_ids)}
        self._cache.discard(*product_ids)
        self._cache.put_all(found)
        return found
