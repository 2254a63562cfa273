"""The order domain of peer (c): a statement for each request, with asyncpg."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import msgspec
from asyncpg import Pool, PostgresError, Record, UniqueViolationError
from opentelemetry.trace import Span, Status, StatusCode

from bench.peers.granian_msgspec.catalogue import Catalogue
from bench.peers.granian_msgspec.schemas import LineOut, Money, OrderIn, OrderOut
from bench.peers.granian_msgspec.tracing import Tracing, traceparent
from bench.peers.refusals import Refused
from bench.peers.tokens import Caller
from chassis import ids

NOT_AS_SHOWN = "WF001"
ATTEMPTS = 3
_PLACE = f"SELECT place_order({', '.join(f'${number}' for number in range(1, 24))})"
_STORED = "SELECT fingerprint, reply FROM idempotency WHERE caller = $1 AND method = 'CreateOrder' AND key = $2"
_COLUMNS = """
o.order_id, o.customer_id, o.partner_id, o.payment_id, o.total_minor, o.currency, o.state, o.payment_state, o.external_reference,
o.note, o.reason, o.etag, o.create_time, o.update_time, l.product_id, l.title, l.quantity, l.unit_price_minor
"""
_GET = f"SELECT {_COLUMNS} FROM orders o JOIN order_lines l USING (order_id) WHERE o.order_id = $1 AND o.{{}} = $2 ORDER BY l.position"
_PAGE = f"""
SELECT {_COLUMNS} FROM (SELECT * FROM orders WHERE {{}} = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3) o
  JOIN order_lines l USING (order_id) ORDER BY o.order_id DESC, l.position
"""
_GET_OF = {True: _GET.format("partner_id"), False: _GET.format("customer_id")}
_PAGE_OF = {True: _PAGE.format("partner_id"), False: _PAGE.format("customer_id")}
_ENCODER = msgspec.json.Encoder()


class Orders:
    """Orders in PostgreSQL."""

    def __init__(self, pool: Pool, tracing: Tracing) -> None:
        self._pool, self._tracing = pool, tracing
        self._catalogue = Catalogue(pool)

    async def place(self, span: Span, caller: Caller, key: str, customer_id: str, new: OrderIn) -> tuple[bytes, bool]:
        """Places the order, or replays what the same key was answered with: the reply, and whether it is a stored one.

        Raises `Refused`.
        """
        fingerprint = hashlib.sha256(_ENCODER.encode(new)).digest()
        try:
            return await self._write(span, caller, key, fingerprint, customer_id, new), False
        except (UniqueViolationError, Refused) as error:
            stored = await self._pool.fetchrow(_STORED, caller.subject, key)
            if stored is None:
                if isinstance(error, UniqueViolationError) and error.constraint_name == "orders_external_reference":
                    message = "The reference is in use."
                    raise Refused("ALREADY_EXISTS", "EXTERNAL_REFERENCE_TAKEN", message) from error
                raise
            if stored["fingerprint"] != fingerprint:
                message = "The key was used with another request."
                raise Refused("FAILED_PRECONDITION", "IDEMPOTENCY_KEY_REUSED", message) from error
            return stored["reply"], True

    async def _write(
        self, span: Span, caller: Caller, key: str, fingerprint: bytes, customer_id: str, new: OrderIn
    ) -> bytes:
        wanted: dict[str, int] = {}
        for line in new.lines:
            wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
        for _ in range(ATTEMPTS):
            order = await self._order(caller, customer_id, wanted, new)
            reply = _ENCODER.encode(order)
            # In the order of their ids, in which they are locked.
            lines = sorted(enumerate(order.lines), key=lambda line: line[1].product_id)
            event_id = ids.new("evt")
            try:
                await self._traced(
                    span,
                    _PLACE,
                    caller.subject, key, fingerprint, reply, order.order_id, order.customer_id, order.partner_id, order.payment_id,
                    order.total.amount_minor, order.total.currency, order.external_reference, order.note, order.etag,
                    new.payment_method, order.create_time, event_id, _event(event_id, caller, order), traceparent(span),
                    [line.product_id for _, line in lines], [position for position, _ in lines],
                    [line.quantity for _, line in lines], [line.unit_price.amount_minor for _, line in lines],
                    [line.title for _, line in lines],
                )  # fmt: skip
            except PostgresError as error:
                if error.sqlstate != NOT_AS_SHOWN:
                    raise
                await self._catalogue.read(wanted)
            else:
                return reply
        raise Refused("FAILED_PRECONDITION", "PRODUCT_CHANGED", "The products change too often.")

    async def _order(self, caller: Caller, customer_id: str, wanted: dict[str, int], new: OrderIn) -> OrderOut:
        articles = await self._catalogue.find(wanted)
        currency = articles[0].currency
        now = datetime.now(UTC)
        lines, total = [], 0
        for (product_id, quantity), article in zip(wanted.items(), articles, strict=True):
            lines.append(LineOut(product_id, article.title, quantity, Money(article.price, currency)))
            total += article.price * quantity
        return OrderOut(
            order_id=ids.new("ord"),
            customer_id=customer_id,
            partner_id=caller.partner_id,
            lines=lines,
            total=Money(total, currency),
            state="ORDER_STATE_PENDING",
            payment_state="PAYMENT_STATE_PENDING",
            payment_id=ids.new("pay"),
            external_reference=new.external_reference,
            note=new.note,
            reason="",
            etag=secrets.token_hex(8),
            create_time=now,
            update_time=now,
        )

    async def get(self, span: Span, caller: Caller, order_id: str) -> OrderOut:
        """The caller's order. Raises `Refused` where there is none."""
        owner = caller.partner_id or caller.subject
        rows = await self._traced(span, _GET_OF[bool(caller.partner_id)], order_id, owner)
        if not rows:
            raise Refused("NOT_FOUND", "ORDER_NOT_FOUND", "There is no such order.")
        return _read(rows)

    async def page(self, span: Span, caller: Caller, size: int, after: str) -> tuple[list[OrderOut], str]:
        """A page of the caller's orders, newest first, and the key of the next one (empty on the last page)."""
        owner = caller.partner_id or caller.subject
        rows = await self._traced(span, _PAGE_OF[bool(caller.partner_id)], owner, after or "~", size + 1)
        orders = [_read(list(of_one)) for _, of_one in groupby(rows, key=lambda row: row["order_id"])]
        return orders[:size], orders[size - 1].order_id if len(orders) > size else ""

    async def _traced(self, span: Span, statement: str, *arguments: object) -> list[Record]:
        child = self._tracing.call("SELECT peer", span, {"db.system.name": "postgresql", "db.query.text": statement})
        try:
            rows: list[Record] = await self._pool.fetch(statement, *arguments)
            return rows
        except PostgresError as error:
            child.set_status(Status(StatusCode.ERROR, str(error.sqlstate)))
            raise
        finally:
            child.end()


def _event(event_id: str, caller: Caller, order: OrderOut) -> str:
    event = {
        "event_id": event_id,
        "type": "order.placed",
        "aggregate_id": order.order_id,
        "sequence": 1,
        "actor": caller.subject,
        "user_id": order.customer_id,
        "partner_id": order.partner_id,
        "total": {"amount_minor": order.total.amount_minor, "currency": order.total.currency},
    }
    return _ENCODER.encode(event).decode()


def _read(rows: Sequence[Record]) -> OrderOut:
    first = rows[0]
    currency = first["currency"]
    return OrderOut(
        order_id=first["order_id"],
        customer_id=first["customer_id"],
        partner_id=first["partner_id"],
        lines=[
            LineOut(row["product_id"], row["title"], row["quantity"], Money(row["unit_price_minor"], currency))
            for row in rows
        ],
        total=Money(first["total_minor"], currency),
        state=first["state"],
        payment_state=first["payment_state"],
        payment_id=first["payment_id"],
        external_reference=first["external_reference"],
        note=first["note"],
        reason=first["reason"],
        etag=first["etag"],
        create_time=first["create_time"],
        update_time=first["update_time"],
    )
