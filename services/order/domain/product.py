"""The rules of products."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chassis.errors import EtagMismatch, FailedPrecondition, NotFound


class ProductNotFound(NotFound):
    """There is no product {product_id}."""


class ProductInactive(FailedPrecondition):
    """The product {product_id} cannot be ordered now."""


class OutOfStock(FailedPrecondition):
    """Only {available} of {product_id} are in stock and {requested} were requested."""


@dataclass(frozen=True, slots=True)
class Product:
    """Amounts are in the currency's smallest unit. `version` counts changes other than those of stock."""

    product_id: str
    partner_id: str
    title: str
    price_minor: int
    currency: str
    stock: int
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    mode: str = "LIVE"

    @property
    def etag(self) -> str:
        """Changes with every update of the product other than its stock."""
        return str(self.version)

    def update(self, now: datetime, etag: str, changes: Mapping[str, object]) -> "Product":
        """`changes`: new values by attribute. Raises `EtagMismatch` if the caller saw another version."""
        if etag and etag != self.etag:
            raise EtagMismatch(etag=self.etag)
        if not changes:
            return self
        return replace(self, version=self.version + 1, updated_at=now, **changes)  # type: ignore[arg-type]
