"""The tables that the background part adds."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bench.peers.models import Base


class Charge(Base):
    """What the sandbox provider knows of a payment: a key that comes twice is one charge."""

    __tablename__ = "charges"

    payment_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    create_time: Mapped[datetime]


class Notice(Base):
    """A line of a person's inbox; an event that comes twice makes one."""

    __tablename__ = "notices"
    __table_args__ = (Index("notices_user", "user_id", "notice_id"),)

    notice_id: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str]
    type: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    read: Mapped[bool] = mapped_column(default=False)
    create_time: Mapped[datetime]


class Delivery(Base):
    """A mail about an event, and what became of it."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_queued", "create_time", postgresql_where=text("state = 'QUEUED'")),)

    delivery_id: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str]
    type: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    response: Mapped[str] = mapped_column(default="")
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
