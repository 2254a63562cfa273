"""The peers' tables, as SQLAlchemy ORM classes.

As in Weft, no foreign keys, whose checks PostgreSQL would pay for, and room for stock to change in place.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship


class Base(DeclarativeBase):
    """The registry."""

    type_annotation_map: ClassVar = {datetime: DateTime(timezone=True)}


class User(Base):
    """A customer of a partner, or a person."""

    __tablename__ = "users"

    user_id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    display_name: Mapped[str] = mapped_column(default="")
    locale: Mapped[str] = mapped_column(default="en")
    state: Mapped[str] = mapped_column(default="USER_STATE_ACTIVE")
    partner_id: Mapped[str] = mapped_column(default="")
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]


class Product(Base):
    """Something that can be ordered."""

    __tablename__ = "products"
    __table_args__ = (CheckConstraint("stock >= 0", name="products_stock"), {"postgresql_with": {"fillfactor": 50}})

    product_id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    stock: Mapped[int] = mapped_column(BigInteger)
    active: Mapped[bool] = mapped_column(default=True)


class OrderLine(Base):
    """A product within an order, at the price of that moment."""

    __tablename__ = "order_lines"

    order_id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[str]
    title: Mapped[str]
    quantity: Mapped[int]
    unit_price_minor: Mapped[int] = mapped_column(BigInteger)


class Order(Base):
    """What was bought."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("orders_customer", "customer_id", "order_id"),
        Index("orders_partner", "partner_id", "order_id"),
        Index(
            "orders_external_reference",
            "partner_id",
            "external_reference",
            unique=True,
            postgresql_where=text("external_reference <> ''"),
        ),
    )

    order_id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[str]
    partner_id: Mapped[str]
    payment_id: Mapped[str]
    total_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    state: Mapped[str]
    payment_state: Mapped[str]
    external_reference: Mapped[str]
    note: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    etag: Mapped[str]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    lines: Mapped[list[OrderLine]] = relationship(
        lazy="raise",
        order_by=OrderLine.position,
        primaryjoin=lambda: Order.order_id == foreign(OrderLine.order_id),
    )


class Payment(Base):
    """The payment of one order."""

    __tablename__ = "payments"

    payment_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(unique=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    method: Mapped[str]
    state: Mapped[str]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]


class OrderEvent(Base):
    """A line of an order's timeline."""

    __tablename__ = "order_events"
    __table_args__ = (Index("order_events_order", "order_id", "sequence"),)

    event_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    sequence: Mapped[int]
    type: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    occur_time: Mapped[datetime]


class OutboxMessage(Base):
    """An event that waits to be published."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_due", "due"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    traceparent: Mapped[str] = mapped_column(default="")
    attempts: Mapped[int] = mapped_column(default=0)
    due: Mapped[datetime]


class IdempotencyRecord(Base):
    """The stored reply of a keyed request."""

    __tablename__ = "idempotency"

    caller: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    reply: Mapped[bytes]
    created_at: Mapped[datetime]
