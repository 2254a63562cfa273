"""Random sequences of everything that may happen to orders and payments, and what must hold after each step."""

import asyncio
import json
import secrets
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from weft.order.v1 import fulfilment_pb2, order_pb2, payment_pb2
from weft.order.v1 import payment_service_pb2 as pb

from chassis.clock import FixedClock
from chassis.storage.database import Query
from services.order.domain import states
from services.order.orders.expiry import MAX_PENDING_TIME
from services.order.payments.gateways import sandbox
from services.order.payments.provider_events import sign
from tests.harness import refusal
from tests.order.payments.till import Killed, Till
from tests.order.shop import metadata

METHODS = st.sampled_from(sorted({*sandbox._AT_ONCE, *sandbox._LATER, "pm_unknown"}))
WHICH = st.integers(0, 3)
AMOUNT = st.sampled_from([0, 1, 333, 500, 1000, 2001])
PLACES = st.sampled_from([f"{w} {c}" for w in ("before", "after") for c in ("authorize", "confirm", "capture", "refund", "reverse")])
STOCK = 8
_SUMS = Query(
    """
SELECT p.payment_id, p.authorized_minor, p.captured_minor, p.refunded_minor, p.charged_back_minor, p.refunding_minor,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'AUTHORIZED'), 0)::bigint AS reserved,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'VOIDED'), 0)::bigint AS voided,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'CAPTURED'), 0)::bigint AS captured,
       COALESCE(sum(m.amount_minor) FILTER (WHERE kind = 'REFUNDED'), 0)::bigint AS refunded,
       COALESCE(sum(CASE kind WHEN 'CHARGED_BACK' THEN m.amount_minor WHEN 'CHARGE_BACK_REVERSED' THEN -m.amount_minor END), 0)::bigint
         AS charged_back
  FROM payments p LEFT JOIN payment_movements m USING (payment_id) WHERE p.order_id = ANY(%(ids)s) GROUP BY p.payment_id
"""
)
_THEIRS = Query(
    "SELECT split_part(key, '/', 1) AS payment_id, sum(captured_minor) AS captured, sum(refunded_minor) AS refunded, "
    "sum(charged_back_minor) AS charged_back FROM sandbox_charges WHERE split_part(key, '/', 1) = ANY(%(ids)s) GROUP BY 1"
)


class Model(RuleBasedStateMachine):
    """One product of few units, some orders of it, a payment worker that is run and killed by hand."""

    def __init__(self, till: Till, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.till, self.shop, self.loop = till, till.shop, loop
        self.orders: list[order_pb2.Order] = []

    def do(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The result; a refusal must be typed."""

        async def answered() -> Any:
            try:
                return await call
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND), error
                assert refusal(error).reason
                return None

        return asyncio.run_coroutine_threadsafe(answered(), self.loop).result(30)

    def advance(self, time: timedelta) -> None:
        assert isinstance(self.shop.app.clock, FixedClock)
        self.shop.app.clock.advance(time)

    def chosen(self, which: int) -> order_pb2.Order:
        return self.orders[which % len(self.orders)]

    @initialize()
    def stock_up(self) -> None:
        self.product = self.do(self.shop.product(stock=STOCK))

    @precondition(lambda self: len(self.orders) < 4)
    @rule(method=METHODS, units=st.integers(1, 3), capture=st.integers(0, 2))
    def order(self, method: str, units: int, capture: int) -> None:
        async def place() -> Any:
            return await self.shop.order((self.product, units), method=method, capture=capture)

        if placed := self.do(place()):
            self.orders.append(placed)

    @rule()
    def work(self) -> None:
        self.do(self.till.run())

    @rule(where=PLACES)
    def die(self, where: str) -> None:
        async def run_and_die() -> None:
            self.till.sandbox.dies = where
            try:
                await self.till.run()
            except Killed:
                pass
            finally:
                self.till.sandbox.dies = ""

        self.do(run_and_die())
        self.advance(timedelta(seconds=31))

    @rule(time=st.sampled_from([timedelta(seconds=2), timedelta(seconds=61), timedelta(minutes=11)]))
    def wait(self, time: timedelta) -> None:
        self.advance(time)

    @rule()
    def expire(self) -> None:
        self.do(self.till.expiry.run())

    @rule()
    def bank_acts(self) -> None:
        self.do(self.till.sandbox.change_later())

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, number=st.integers(0, 2))
    def event(self, which: int, number: int) -> None:
        """Early, late, or one that came before."""
        payment_id = self.chosen(which).payment_id
        event = {"id": f"{payment_id}{number}", "type": "x", "data": {"object": {"metadata": {"payment_id": payment_id}}}}
        body, now = json.dumps(event).encode(), int(self.shop.app.clock.now().timestamp())
        signature = sign(body, self.shop.app.vault.derive("sandbox events"), now)
        request = pb.HandleProviderEventRequest(provider="sandbox", body=HttpBody(data=body))

        async def deliver() -> None:
            await self.shop.payments.HandleProviderEvent(request, metadata=[("sandbox-signature", signature)])

        self.do(deliver())

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(["cancel", "confirm", "capture", "refund", "ship", "deliver"]), amount=AMOUNT, method=METHODS | st.just(""))
    def change(self, which: int, verb: str, amount: int, method: str) -> None:
        order, shop = self.chosen(which), self.shop
        by_user, by_operator = metadata(shop.user), metadata(shop.operator, secrets.token_hex(8))
        named = {"payment_id": order.payment_id}

        async def call() -> None:
            if verb == "cancel":
                await shop.cancel(order.order_id)
            elif verb == "confirm":
                request = pb.ConfirmPaymentRequest(payment_method=method, **named)
                await shop.payments.ConfirmPayment(request, metadata=by_user)
            elif verb == "capture":
                await shop.payments.CapturePayment(pb.CapturePaymentRequest(amount_minor=amount, **named), metadata=by_operator)
            elif verb == "refund":
                await shop.payments.RefundPayment(pb.RefundPaymentRequest(amount_minor=amount, **named), metadata=by_operator)
            elif verb == "ship":
                lines = [fulfilment_pb2.FulfilmentLineInput(product_id=self.product, quantity=1)]
                request = fulfilment_pb2.ShipOrderRequest(order_id=order.order_id, lines=lines)
                await shop.orders.ShipOrder(request, metadata=by_operator)
            else:
                await shop.orders.DeliverOrder(fulfilment_pb2.DeliverOrderRequest(order_id=order.order_id), metadata=by_operator)

        self.do(call())

    @invariant()
    def holds(self) -> None:
        self.do(self._check())

    async def _check(self) -> list[order_pb2.Order]:
        found = [await self.shop.get(order.order_id) for order in self.orders]
        gone = (order_pb2.ORDER_STATE_CANCELLED, order_pb2.ORDER_STATE_EXPIRED)
        reserved = sum(order.lines[0].quantity for order in found if order.state not in gone)
        if self.orders or hasattr(self, "product"):
            assert await self.shop.stock(self.product) == STOCK - reserved >= 0
        for order in found:
            assert order.display_state == _display(order)
        for row in await self.shop.database.all(_SUMS, ids=[order.order_id for order in self.orders]):
            assert row.authorized_minor == row.reserved - row.voided
            assert (row.captured_minor, row.refunded_minor) == (row.captured, row.refunded)
            assert row.charged_back_minor == row.charged_back
            assert 0 <= row.captured <= row.reserved
            assert 0 <= row.refunded + row.charged_back <= row.captured
            assert row.refunded + row.refunding_minor <= row.captured
        return found

    def teardown(self) -> None:
        if self.orders:
            self.do(self._finish())

    async def _finish(self) -> None:
        """Everything comes to an end, and the provider's books are ours."""
        for _ in range(40):
            self.advance(timedelta(seconds=61))
            await self.till.sandbox.change_later()
            await self.till.run()
        self.advance(MAX_PENDING_TIME)
        while await self.till.expiry.run() or await self.till.run():
            self.advance(timedelta(seconds=61))
        found = await self._check()
        theirs = {r.payment_id: r for r in await self.shop.database.all(_THEIRS, ids=[o.payment_id for o in found])}
        for order in found:
            payment: payment_pb2.Payment = await self.shop.payment(order.payment_id)
            ours = payment.captured_minor, payment.refunded_minor, payment.charged_back_minor
            assert order.state != order_pb2.ORDER_STATE_PENDING
            there = theirs.get(order.payment_id)
            assert ours == ((there.captured, there.refunded, there.charged_back) if there else (0, 0, 0)), (order, payment)
            if order.state in (order_pb2.ORDER_STATE_CANCELLED, order_pb2.ORDER_STATE_EXPIRED):
                assert payment.captured_minor == payment.refunded_minor + payment.charged_back_minor
                assert payment.authorized_minor in (0, payment.captured_minor)
            sequences = [number for number, _ in await self.shop.events(order.order_id)]
            assert sequences == list(range(1, len(sequences) + 1))


def _display(order: order_pb2.Order) -> int:
    def bare(enum: Any, value: int) -> str:
        name: str = enum.Name(value)
        return name.split("_STATE_", 1)[1]

    shown = states.display(
        states.OrderState(bare(order_pb2.OrderState, order.state)),
        states.PaymentState(bare(order_pb2.PaymentState, order.payment_state)),
        states.FulfilmentState(bare(fulfilment_pb2.FulfilmentState, order.fulfilment_state)),
    )
    return order_pb2.OrderDisplayState.Value(f"ORDER_DISPLAY_STATE_{shown}")
