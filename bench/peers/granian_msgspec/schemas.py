"""Requests and replies as msgspec structs: the bounds of Weft's contract, in JSON's camelCase."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

ID = r"[0-7][0-9a-hjkmnp-tv-z]{25}\Z"


class In(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """Part of a request: unknown fields are refused."""


class Out(Struct, rename="camel", gc=False):
    """Part of a reply."""


class LineIn(In):
    """A product to order."""

    product_id: Annotated[str, Meta(pattern=f"^prd_{ID}")]
    quantity: Annotated[int, Meta(ge=1, le=1000)]


class OrderIn(In):
    """The order to place."""

    lines: Annotated[list[LineIn], Meta(min_length=1, max_length=100)]
    payment_method: Annotated[str, Meta(pattern=r"^pm_[A-Za-z0-9_]{1,96}\Z")]
    customer_id: Annotated[str, Meta(pattern=rf"^(\Z|me\Z|usr_{ID})")] = ""
    external_reference: Annotated[str, Meta(max_length=100)] = ""
    note: Annotated[str, Meta(max_length=500)] = ""


class Money(Out):
    """An amount, in the currency's smallest unit."""

    amount_minor: int
    currency: str


class LineOut(Out):
    """A product within an order."""

    product_id: str
    title: str
    quantity: int
    unit_price: Money


class OrderOut(Out):
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


class PageOut(Out):
    """A page of orders."""

    orders: list[OrderOut]
    next_page_token: str


class UserOut(Out):
    """A customer of a partner, or a person."""

    user_id: str
    email: str
    display_name: str
    locale: str
    state: str
    partner_id: str
    create_time: datetime
    update_time: datetime


class ErrorOut(Out):
    """Why a request was not done."""

    code: int
    reason: str
    message: str
