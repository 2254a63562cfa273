"""The rules of the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from chassis.errors import EtagMismatch, FailedPrecondition, NotFound


class ProductNotFound(NotFound):
    """There is no product {product_id}."""


class ProductInactive(FailedPrecondition):
    """The product {product_id} cannot be ordered now."""


class OutOfStock(FailedPrecondition):
    """Only {left} of {product_id} are left and {asked} were asked for."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue. Amounts are in the currency's smallest unit; `version` counts changes but those of stock."""

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

    @property
    def etag(self) -> str:
        """Changes with every change but those of stock."""
        return str(self.version)

    def update(self, now: datetime, etag: str, changes: Mapping[str, object]) -> "Product":
        """New values by attribute. Raises `EtagMismatch` where the caller saw another version."""
        if etag and etag != self.etag:
            raise EtagMismatch(etag=self.etag)
        if not changes:
            return self
        return replace(self, version=self.version + 1, updated_at=now, **changes)  # type: ignore[arg-type]
