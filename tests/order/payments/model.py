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
from weft.order.v1 import (
    fulfilment_pb2,
    order_pb2,
    order_service_pb2,
    override_pb2,
    product_service_pb2,
)
from weft.order.v1 import payment_service_pb2 as pb

from chassis import ids
from chassis.clock import FixedClock
from services.order.orders.expiry import MAX_PENDING_TIME
from services.order.payments.gateways import sandbox
from services.order.payments.provider_events import sign
from tests.harness import refusal, refused
from tests.order.payments import books
from tests.order.payments.till import Killed, Till
from tests.order.shop import metadata

METHODS = st.just("pm_sandbox_ok") | st.sampled_from(sorted({*sandbox._AT_ONCE, *sandbox._LATER, "pm_unknown"}))
WHICH = st.integers(0, 3)
AMOUNT = st.sampled_from([0, 333, 1000, 2001])
PLACES = st.sampled_from(
    [f"{w} {c}" for w in ("before", "after") for c in ("authorize", "confirm", "capture", "refund", "reverse")]
)
STOCK = 8
VERBS = ("cancel", "confirm", "capture", "refund", "ship", "deliver", "mark_paid", "release", "give_back")
TYPED = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ABORTED,
)
_TOLD = "SELECT count(*) FROM provider_events WHERE payment_id = ANY(%(ids)s)"


async def _answered(call: Coroutine[Any, Any, Any]) -> Any:
    """The result; None for a refusal, which must be typed."""
    try:
        return await call
    except grpc.RpcError as error:
        if error.code() not in TYPED or not refusal(error).reason:
            raise
        return None


class Model(RuleBasedStateMachine):
    """One product of few units, some orders of it, a payment worker that is run and killed by hand."""

    def __init__(self, till: Till, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.till, self.shop, self.loop = till, till.shop, loop
        self.orders: list[order_pb2.Order] = []
        self.stocked = STOCK
        self.told: set[str] = set()
        self.stranger = till.shop.issuer.user(ids.new("usr"))

    def do(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The result; a refusal must be typed."""

        async def answered() -> Any:
            return await _answered(call)

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
    @rule(method=METHODS, units=st.integers(1, 3), capture=st.integers(0, 2), works=st.booleans())
    def order(self, method: str, units: int, capture: int, works: bool) -> None:
        async def place() -> Any:
            return await self.shop.order((self.product, units), method=method, capture=capture)

        if placed := self.do(place()):
            self.orders.append(placed)
        if works:
            self.work()

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
        """Time passes, and what is due by the clock happens: charge-backs, expiry."""
        self.advance(time)
        self.do(self.till.sandbox.change_later())
        self.do(self.till.expiry.run())

    @rule(units=st.integers(-2, 3))
    def adjust(self, units: int) -> None:
        request = product_service_pb2.AdjustStockRequest(product_id=self.product, delta=units, reason="counted")

        async def call() -> Any:
            return await self.shop.products.AdjustStock(
                request, metadata=metadata(self.shop.operator, secrets.token_hex(8))
            )

        if units and self.do(call()):
            self.stocked += units

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, number=st.integers(0, 2), forged=st.booleans())
    def event(self, which: int, number: int, forged: bool) -> None:
        """Early, late, one that came before, or one that somebody made up."""
        payment_id = self.chosen(which).payment_id
        event = {
            "id": f"{payment_id}{number}",
            "type": "x",
            "data": {"object": {"metadata": {"payment_id": payment_id}}},
        }
        body, now = json.dumps(event).encode(), int(self.shop.app.clock.now().timestamp())
        signature = sign(body, b"forged" if forged else self.shop.app.vault.derive("sandbox events"), now)
        request = pb.HandleProviderEventRequest(provider="sandbox", body=HttpBody(data=body))

        async def deliver() -> None:
            call = self.shop.payments.HandleProviderEvent(request, metadata=[("sandbox-signature", signature)])
            if forged:
                assert (await refused(call)).reason == "EVENT_SIGNATURE_INVALID"
            else:
                await call

        self.do(deliver())
        if not forged:
            self.told.add(event["id"])

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, amount=AMOUNT, works=st.booleans())
    def refund(self, which: int, amount: int, works: bool) -> None:
        self.change(which, "refund", works, amount)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, amount=AMOUNT, works=st.booleans())
    def capture(self, which: int, amount: int, works: bool) -> None:
        self.change(which, "capture", works, amount)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(["mark_paid", "give_back"]), amount=AMOUNT, works=st.booleans())
    def by_hand(self, which: int, verb: str, amount: int, works: bool) -> None:
        self.change(which, verb, works, amount if verb == "give_back" else 0)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, method=METHODS | st.just(""), works=st.booleans())
    def confirm(self, which: int, method: str, works: bool) -> None:
        self.change(which, "confirm", works, method=method)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(["cancel", "ship", "deliver", "release"]), works=st.booleans())
    def end(self, which: int, verb: str, works: bool) -> None:
        self.change(which, verb, works)

    def change(self, which: int, verb: str, works: bool, amount: int = 0, method: str = "") -> None:
        self.do(self._call(self.chosen(which), verb, amount, method))
        if works:
            self.work()

    @precondition(lambda self: self.orders)
    @rule(
        which=WHICH, verbs=st.lists(st.sampled_from([*VERBS, "work", "expire"]), min_size=2, max_size=4), amount=AMOUNT
    )
    def at_once(self, which: int, verbs: list[str], amount: int) -> None:
        order = self.chosen(which)

        async def race() -> None:
            await asyncio.gather(*(_answered(self._call(order, verb, amount, "pm_sandbox_ok")) for verb in verbs))

        self.do(race())

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(["cancel", "confirm", "read"]))
    def stranger_tries(self, which: int, verb: str) -> None:
        order = self.chosen(which)

        async def call() -> None:
            assert (await refused(self._call(order, verb, 0, "", self.stranger))).reason.endswith("_NOT_FOUND")

        self.do(call())

    async def _call(self, order: order_pb2.Order, verb: str, amount: int, method: str, token: str = "") -> None:
        shop, named = self.shop, {"payment_id": order.payment_id}
        by_user, by_operator = metadata(token or shop.user), metadata(shop.operator, secrets.token_hex(8))
        match verb:
            case "work":
                await self.till.run()
            case "expire":
                await self.till.expiry.run()
            case "read":
                await shop.get(order.order_id, token)
            case "cancel":
                await shop.cancel(order.order_id, token)
            case "confirm":
                request = pb.ConfirmPaymentRequest(payment_method=method, **named)
                await shop.payments.ConfirmPayment(request, metadata=by_user)
            case "capture":
                await shop.payments.CapturePayment(
                    pb.CapturePaymentRequest(amount_minor=amount, **named), metadata=by_operator
                )
            case "refund":
                await shop.payments.RefundPayment(
                    pb.RefundPaymentRequest(amount_minor=amount, **named), metadata=by_operator
                )
            case "ship":
                lines = [fulfilment_pb2.FulfilmentLineInput(product_id=self.product, quantity=1)]
                request = fulfilment_pb2.ShipOrderRequest(order_id=order.order_id, lines=lines)
                await shop.orders.ShipOrder(request, metadata=by_operator)
            case "mark_paid" | "release" | "give_back":
                asked = override_pb2.OverrideOrderRequest(order_id=order.order_id, reason="by hand")
                if verb == "give_back":
                    asked.refund.amount_minor = amount
                else:
                    getattr(asked, verb).SetInParent()
                await shop.orders.OverrideOrder(asked, metadata=by_operator)
            case "deliver":
                request = fulfilment_pb2.DeliverOrderRequest(order_id=order.order_id)
                await shop.orders.DeliverOrder(request, metadata=by_operator)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "product"):
            self.do(self._check())

    async def _check(self) -> list[order_pb2.Order]:
        request = order_service_pb2.ListOrdersRequest(page_size=len(self.orders) or 1)
        listed = {
            o.order_id: o
            for o in (await self.shop.orders.ListOrders(request, metadata=metadata(self.shop.user))).orders
        }
        found = [listed[order.order_id] for order in self.orders]
        gone = (order_pb2.ORDER_STATE_CANCELLED, order_pb2.ORDER_STATE_EXPIRED)
        reserved = sum(order.lines[0].quantity for order in found if order.state not in gone)
        assert await self.shop.stock(self.product) == self.stocked - reserved >= 0
        for order in found:
            assert order.display_state == books.display(order)
        await books.check(self.shop, [order.order_id for order in self.orders])
        return found

    def teardown(self) -> None:
        if self.orders:
            self.do(self._finish())

    async def _finish(self) -> None:
        """Everything comes to an end, and the provider's books are ours."""
        quiet = 0
        while quiet < 3:
            self.advance(timedelta(seconds=61))
            busy = await self.till.sandbox.change_later() + await self.till.run()
            waiting = await self.shop.count("SELECT count(*) FROM payment_work WHERE state = 'ready'")
            quiet = 0 if busy or waiting else quiet + 1
        self.advance(MAX_PENDING_TIME)
        while await self.till.expiry.run() or await self.till.run():
            self.advance(timedelta(seconds=61))
        found = await self._check()
        await books.check_ended(self.shop, found)
        for order in found:
            await books.check_story(self.shop, order)
        assert await self.shop.count(_TOLD, ids=[o.payment_id for o in found]) == len(self.told), "each event once"
