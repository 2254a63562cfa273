"""The rules of the catalogue."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from services.chassis.errors import EtagMismatch, FailedPrecondition, NotFound, RequestInvalid


class ProductNotFound(NotFound):
    """There is no product {product_id}."""


class ProductInactive(FailedPrecondition):
    """The product {product_id} cannot be ordered now."""


class OutOfStock(FailedPrecondition):
    """Only {left} of {product_id} are left and {asked} were asked for."""


CHANGEABLE = ("title", "price", "active")
"""What an update may name."""


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

    def changed(
        self,
        fields: Collection[str],
        *,
        title: str,
        price: tuple[int, str] | None,
        active: bool,
        etag: str,
        now: datetime,
    ) -> "Product":
        """The product with some fields taken from the arguments.

        Raises `EtagMismatch` where the caller saw another version, `RequestInvalid` where a named field has no value.
        """
        if etag and etag != self.etag:
            raise EtagMismatch(etag=self.etag)
        if not fields:
            return self
        if "title" in fields and not title:
            raise RequestInvalid(violations=[("product.title", "must be at least 1 character")])
        if "price" in fields and price is None:
            raise RequestInvalid(violations=[("product.price", "value is required")])
        price_minor, currency = price if price and "price" in fields else (self.price_minor, self.currency)
        return replace(
            self,
            title=title if "title" in fields else self.title,
            price_minor=price_minor,
            currency=currency,
            active=active if "active" in fields else self.active,
            version=self.version + 1,
            updated_at=now,
        )


def named_fields(mask: Collection[str] | None, *, title: str, priced: bool, active: bool) -> set[str]:
    """The fields that an update takes: those of its mask, or without one those that are set.

    Raises `RequestInvalid` for a field that cannot be changed.
    """
    if mask is None:
        given = {"title": bool(title), "price": priced, "active": active}
        return {name for name, is_set in given.items() if is_set}
    if "*" in mask:
        return set(CHANGEABLE)
    wrong = [path for path in mask if path not in CHANGEABLE]
    if wrong:
        allowed = ", ".join(CHANGEABLE)
        raise RequestInvalid(violations=[("update_mask", f"`{path}` is not one of {allowed}") for path in wrong])
    return set(mask)
