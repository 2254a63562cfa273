"""Requests and replies as pydantic models: the bounds of Weft's contract, in JSON's camelCase."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bench.peers import models

ID = "[0-7][0-9a-hjkmnp-tv-z]{25}$"


class Model(BaseModel):
    """camelCase outside, snake_case inside, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True, extra="forbid")


class LineIn(Model):
    """A product to order."""

    product_id: Annotated[str, Field(pattern=f"^prd_{ID}")]
    quantity: Annotated[int, Field(ge=1, le=1000)]


class OrderIn(Model):
    """The order to place."""

    customer_id: Annotated[str, Field(pattern=f"^$|^(me|usr_{ID})")] = ""
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=100)]
    payment_method: Annotated[str, Field(pattern="^pm_[A-Za-z0-9_]{1,96}$")]
    external_reference: Annotated[str, Field(max_length=100)] = ""
    note: Annotated[str, Field(max_length=500)] = ""


class Money(Model):
    """An amount, in the currency's smallest unit."""

    amount_minor: int
    currency: str


class LineOut(Model):
    """A product within an order."""

    product_id: str
    title: str
    quantity: int
    unit_price: Money


class OrderOut(Model):
    """What was bought."""

    order_id: str
    customer_id: str
    partner_id: str
    lines: list[LineOut]
    total: Money
    state: str
    payment_state: str
    payment_id: str
    external_reference: str
    note: str
    reason: str
    etag: str
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, order: models.Order) -> "OrderOut":
        """The order as its owner sees it."""
        lines = [
            LineOut(
                product_id=line.product_id,
                title=line.title,
                quantity=line.quantity,
                unit_price=Money(amount_minor=line.unit_price_minor, currency=order.currency),
            )
            for line in order.lines
        ]
        return cls(
            order_id=order.order_id,
            customer_id=order.customer_id,
            partner_id=order.partner_id,
            lines=lines,
            total=Money(amount_minor=order.total_minor, currency=order.currency),
            state=order.state,
            payment_state=order.payment_state,
            payment_id=order.payment_id,
            external_reference=order.external_reference,
            note=order.note,
            reason=order.reason,
            etag=order.etag,
            create_time=order.create_time,
            update_time=order.update_time,
        )


class PageOut(Model):
    """A page of orders."""

    orders: list[OrderOut]
    next_page_token: str


class UserOut(Model):
    """A customer of a partner, or a person."""

    user_id: str
    email: str
    display_name: str
    locale: str
    state: str
    partner_id: str
    create_time: datetime
    update_time: datetime
