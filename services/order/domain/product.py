"""The rules of products."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from chassis.errors import FailedPrecondition, NotFound
from chassis.values import etags


class ProductNotFound(NotFound):
    """There is no product {product_id}."""


class ProductInactive(FailedPrecondition):
    """The product {product_id} cannot be ordered now."""


class ProductArchived(FailedPrecondition):
    """The product {product_id} is archived and can no longer be changed."""


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
    image_urls: Sequence[str] = ()
    archived_at: datetime | None = None

    @property
    def etag(self) -> str:
        """Changes with every update of the product other than its stock."""
        return etags.of(self.version)

    def update(self, now: datetime, etag: str, changes: Mapping[str, object]) -> "Product":
        """`changes`: new values by attribute. The product itself if nothing changes.

        Raises `ProductArchived`, and `EtagMismatch` for a stale etag.
        """
        self._require_current()
        etags.require(etag, self.version)
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, version=self.version + 1, updated_at=now, **changes)  # type: ignore[arg-type]

    def archive(self, now: datetime) -> "Product":
        """It can never be ordered again. Raises `ProductArchived` if it is archived."""
        self._require_current()
        return replace(self, version=self.version + 1, updated_at=now, active=False, archived_at=now)

    def require_stock(self, delta: int) -> None:
        """Raise `OutOfStock` if a change by `delta` would leave less than nothing."""
        if self.stock + delta < 0:
            raise OutOfStock(product_id=self.product_id, requested=str(-delta), available=str(self.stock))

    def _require_current(self) -> None:
        if self.archived_at is not None:
            raise ProductArchived(product_id=self.product_id)


class StockAdjustment(NamedTuple):
    """A change of a product's stock by hand; `stock` is what there was afterwards."""

    adjustment_id: str
    product_id: str
    delta: int
    stock: int
    reason: str
    actor: str
    created_at: datetime
