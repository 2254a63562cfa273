"""The order domain of both peers, in SQLAlchemy's async ORM: as few round trips as the ORM allows."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.propagate import inject
from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from bench.peers.database import Sessions
from bench.peers.models import IdempotencyRecord, Order, OrderEvent, OrderLine, OutboxMessage, Payment, Product
from bench.peers.refusals import Refused
from bench.peers.tokens import Caller
from chassis import ids

METHOD = "CreateOrder"


@dataclass(frozen=True)
class NewOrder:
    """What to order; `lines` are pairs of product id and quantity."""

    customer_id: str
    lines: Sequence[tuple[str, int]]
    payment_method: str
    external_reference: str
    note: str


@dataclass(frozen=True)
class Reply:
    """The serialised order, and whether it is a stored one."""

    body: bytes
    replayed: bool


async def place(
    sessions: Sessions, caller: Caller, key: str, fingerprint: bytes, new: NewOrder, render: Callable[[Order], bytes]
) -> Reply:
    """Places the order, or replays what the same key was answered with. Raises `Refused`.

    The key's record is inserted with the order and read only when something went wrong: a first attempt, which
    nearly all are, spares the look-up.
    """
    try:
        async with sessions.begin() as session:
            order = await _write(session, caller, new)
            body = render(order)
            record = IdempotencyRecord(
                caller=caller.subject,
                method=METHOD,
                key=key,
                fingerprint=fingerprint,
                reply=body,
                created_at=order.create_time,
            )
            session.add(record)
    except (IntegrityError, Refused) as error:
        async with sessions() as session:
            stored = await session.get(IdempotencyRecord, (caller.subject, METHOD, key))
        if stored is None:
            if isinstance(error, Refused):
                raise
            if "orders_external_reference" in str(error.orig):
                raise Refused("ALREADY_EXISTS", "EXTERNAL_REFERENCE_TAKEN", "The reference is in use.") from error
            raise
        if stored.fingerprint != fingerprint:
            message = "The key was used with another request."
            raise Refused("FAILED_PRECONDITION", "IDEMPOTENCY_KEY_REUSED", message) from error
        return Reply(stored.reply, replayed=True)
    return Reply(body, replayed=False)


async def _write(session: AsyncSession, caller: Caller, new: NewOrder) -> Order:
    wanted: dict[str, int] = {}
    for product_id, quantity in new.lines:
        wanted[product_id] = wanted.get(product_id, 0) + quantity
    query = select(Product).where(Product.product_id.in_(wanted)).order_by(Product.product_id).with_for_update()
    products = {product.product_id: product for product in await session.scalars(query)}
    _check(wanted, products)
    for product_id, quantity in wanted.items():
        products[product_id].stock -= quantity

    now = datetime.now(UTC)
    order_id, payment_id = ids.new("ord"), ids.new("pay")
    total = sum(products[product_id].price_minor * quantity for product_id, quantity in wanted.items())
    currency = next(iter(products.values())).currency
    order = Order(
        order_id=order_id,
        customer_id=new.customer_id,
        partner_id=caller.partner_id,
        payment_id=payment_id,
        total_minor=total,
        currency=currency,
        state="ORDER_STATE_PENDING",
        payment_state="PAYMENT_STATE_PENDING",
        external_reference=new.external_reference,
        note=new.note,
        reason="",
        etag=secrets.token_hex(8),
        create_time=now,
        update_time=now,
        lines=[
            OrderLine(
                position=position,
                product_id=product_id,
                title=products[product_id].title,
                quantity=quantity,
                unit_price_minor=products[product_id].price_minor,
            )
            for position, (product_id, quantity) in enumerate(wanted.items())
        ],
    )
    session.add(order)
    # Payment and timeline name the order by id alone, so the unit of work cannot see that it comes first.
    await session.flush()
    headers: dict[str, str] = {}
    inject(headers)
    event_id = ids.new("evt")
    payload = {
        "event_id": event_id,
        "type": "order.placed",
        "aggregate_id": order_id,
        "sequence": 1,
        "actor": caller.subject,
        "user_id": new.customer_id,
        "partner_id": caller.partner_id,
        "total": {"amount_minor": total, "currency": currency},
    }
    session.add_all(
        [
            Payment(
                payment_id=payment_id,
                order_id=order_id,
                amount_minor=total,
                currency=currency,
                method=new.payment_method,
                state="PAYMENT_STATE_PENDING",
                create_time=now,
                update_time=now,
            ),
            OrderEvent(
                event_id=event_id,
                order_id=order_id,
                sequence=1,
                type="order.placed",
                actor=caller.subject,
                occur_time=now,
            ),
            OutboxMessage(kind="order.placed", payload=payload, traceparent=headers.get("traceparent", ""), due=now),
        ]
    )
    return order


def _check(wanted: dict[str, int], products: dict[str, Product]) -> None:
    for product_id, quantity in wanted.items():
        product = products.get(product_id)
        if product is None:
            raise Refused("NOT_FOUND", "PRODUCT_NOT_FOUND", f"There is no product {product_id}.")
        if not product.active:
            raise Refused("FAILED_PRECONDITION", "PRODUCT_INACTIVE", f"{product_id} cannot be ordered.")
        if product.stock < quantity:
            message = f"Only {product.stock} of {product_id} are left and {quantity} were asked for."
            raise Refused("FAILED_PRECONDITION", "OUT_OF_STOCK", message)
    if len({product.currency for product in products.values()}) > 1:
        raise Refused("INVALID_ARGUMENT", "CURRENCY_MIXED", "The products have different currencies.")


async def get(sessions: Sessions, caller: Caller, order_id: str) -> Order:
    """The caller's order. Raises `Refused` where there is none."""
    query = select(Order).where(Order.order_id == order_id, _owned(caller)).options(selectinload(Order.lines))
    async with sessions() as session:
        order = await session.scalar(query)
    if order is None:
        raise Refused("NOT_FOUND", "ORDER_NOT_FOUND", "There is no such order.")
    return order


async def page(sessions: Sessions, caller: Caller, size: int, after: str) -> tuple[list[Order], str]:
    """A page of the caller's orders, newest first, and the key of the next one (empty on the last page)."""
    query = select(Order).where(_owned(caller)).order_by(Order.order_id.desc()).limit(size + 1)
    if after:
        query = query.where(Order.order_id < after)
    async with sessions() as session:
        orders = list(await session.scalars(query.options(selectinload(Order.lines))))
    return orders[:size], orders[size - 1].order_id if len(orders) > size else ""


def _owned(caller: Caller) -> ColumnElement[bool]:
    if caller.partner_id:
        return Order.partner_id == caller.partner_id
    return Order.customer_id == caller.subject
