"""Random sequences of everything that may happen to orders and payments, and what must hold after each step."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from weft.order.v1 import order_pb2, payment_pb2, product_service_pb2

from chassis import ids
from chassis.clock import FixedClock
from services.order.orders.expiry import MAX_PENDING_TIME
from services.order.payments.gateways import sandbox
from tests.order.model import calls, rules
from tests.order.payments import books
from tests.order.payments.till import Killed, Till
from tests.order.shop import metadata
from tests.order.users import Users

METHODS = st.just("pm_sandbox_ok") | st.sampled_from(sorted({*sandbox._AT_ONCE, *sandbox._LATER, "pm_unknown"}))
WHICH = st.integers(0, 5)
AMOUNT = st.sampled_from(["rest", "one", "most", "over"])
PLACES = st.sampled_from(
    [f"{w} {c}" for w in ("before", "after") for c in ("authorize", "confirm", "capture", "refund", "reverse")]
)
STOCK = 10
MONEY = ("capture", "refund", "mark_paid", "give_back")
GOODS = ("ship", "deliver", "request_return", "approve", "refuse", "receive")
STORIES = (
    ("ship", "update", "cancel", "deliver", "request_return", "approve", "receive", "refund", "receive"),
    ("mark_paid", "cancel", "refund", "give_back", "release", "give_back", "release"),
    ("give_back", "capture", "ship", "refund", "refund", "cancel"),
    ("cancel", "update", "refund", "give_back", "capture", "ship"),
)
"""Calls after one another, which chance seldom finds."""
_TOLD = "SELECT count(*) FROM provider_events WHERE payment_id = ANY(%(ids)s)"


def _amount(verb: str, amount: str, payment: payment_pb2.Payment) -> int:
    """In the minor unit; 0 for the rest."""
    left = payment.captured_minor - payment.refunded_minor - payment.refunding_minor
    most = payment.authorized_minor if verb == "capture" else left
    return {"rest": 0, "one": 1, "most": max(most, 0), "over": max(most, 0) + 1}[amount]


class Model(RuleBasedStateMachine):
    """One product of few units, some orders of it, a payment worker that is run and killed by hand."""

    def __init__(self, till: Till, users: Users, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.till, self.shop, self.loop = till, till.shop, loop
        self.orders: list[order_pb2.Order] = []
        self.payments: dict[str, payment_pb2.Payment] = {}
        self.stocked, self.returned = STOCK, 0
        self.told: set[str] = set()
        self.by_hand: set[str] = set()
        self.notes: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        partner, self.ann, self.buyer = ids.new("prt"), ids.new("usr"), ids.new("usr")
        users.add(self.ann, partner)
        issuer = till.shop.issuer
        self.user, self.partner = issuer.user(self.buyer), till.shop.partner(partner)
        self.strangers = [issuer.user(ids.new("usr")), till.shop.partner(ids.new("prt"))]

    def do(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The result, in the loop of the service."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(30)

    def advance(self, time: timedelta) -> None:
        assert isinstance(self.shop.app.clock, FixedClock)
        self.shop.app.clock.advance(time)

    def chosen(self, which: int) -> order_pb2.Order:
        return self.orders[which % len(self.orders)]

    @initialize(
        later=st.sampled_from(["pm_sandbox_timeout", "pm_sandbox_action_required"]),
        seconds=st.sampled_from([0, 3, 1860]),
    )
    def begin(self, later: str, seconds: int) -> None:
        self.product = self.do(self.shop.product(stock=STOCK))
        self.place("pm_sandbox_ok", 2, payment_pb2.CAPTURE_MODE_AT_ONCE, False)
        self.place("pm_sandbox_ok", 2, payment_pb2.CAPTURE_MODE_AT_SHIPMENT, True)
        for method in ("pm_sandbox_declined", later, "pm_sandbox_charge_back"):
            self.place(method, 1, payment_pb2.CAPTURE_MODE_AT_ONCE, False)
        self.work()
        self.wait(timedelta(seconds=seconds))
        self.work()
        self.do(self._check())
        for number, verb in enumerate(("refund", "capture")):
            self.change(number, verb, False, amount="over")
        self.update(0, "late", 2)

    @precondition(lambda self: len(self.orders) < 6)
    @rule(
        method=METHODS, units=st.integers(1, 3), capture=st.integers(0, 2), partner=st.booleans(), works=st.booleans()
    )
    def order(self, method: str, units: int, capture: int, partner: bool, works: bool) -> None:
        self.place(method, units, capture, partner)
        if works:
            self.work()

    def place(self, method: str, units: int, capture: int, partner: bool) -> None:
        token = self.partner if partner else self.user
        more = {"customer_id": self.ann} if partner else {}
        placed, reason = self.do(
            calls.answered(
                lambda: self.shop.order((self.product, units), token=token, method=method, capture=capture, **more)
            )
        )
        assert (reason == "OUT_OF_STOCK") == (placed is None)
        if placed:
            self.orders.append(placed)
            self.owners[placed.order_id] = token

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

    @rule(time=st.sampled_from([timedelta(seconds=2), timedelta(seconds=61), timedelta(minutes=31)]))
    def wait(self, time: timedelta) -> None:
        """Time passes, and what is due by the clock happens: charge-backs, expiry."""
        self.advance(time)
        self.do(self.till.sandbox.change_later())
        self.do(self.till.expiry.run())

    @rule(units=st.integers(-2, 3))
    def adjust(self, units: int) -> None:
        request = product_service_pb2.AdjustStockRequest(product_id=self.product, delta=units, reason="counted")
        by = metadata(self.shop.operator, ids.new("key"))
        if units and self.do(calls.answered(lambda: self.shop.products.AdjustStock(request, metadata=by)))[0]:
            self.stocked += units

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, number=st.integers(0, 2), forged=st.booleans())
    def event(self, which: int, number: int, forged: bool) -> None:
        """Early, late, one that came before, or one that somebody made up."""
        event_id, payment_id = f"{self.chosen(which).payment_id}{number}", self.chosen(which).payment_id
        self.do(calls.tell(self.till, event_id, payment_id, forged))
        if not forged:
            self.told.add(event_id)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(MONEY), amount=AMOUNT, works=st.booleans())
    def money(self, which: int, verb: str, amount: str, works: bool) -> None:
        self.change(which, verb, works, amount=amount)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, method=METHODS | st.just(""), works=st.booleans())
    def confirm(self, which: int, method: str, works: bool) -> None:
        self.change(which, "confirm", works, method=method)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(["cancel", "release"]), works=st.booleans())
    def end(self, which: int, verb: str, works: bool) -> None:
        self.change(which, verb, works)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(GOODS), units=st.integers(0, 2), works=st.booleans())
    def goods(self, which: int, verb: str, units: int, works: bool) -> None:
        self.change(which, verb, works, units=units)

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, story=st.sampled_from(STORIES), units=st.integers(0, 2), amount=AMOUNT, works=st.booleans())
    def tell(self, which: int, story: tuple[str, ...], units: int, amount: str, works: bool) -> None:
        for verb in story:
            back = 1 if verb == "receive" else units
            self.change(which, verb, works, amount=amount, units=back, note="late")

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, note=st.sampled_from(["", "ring twice"]), age=st.integers(0, 2))
    def update(self, which: int, note: str, age: int) -> None:
        """With no etag, the current one, or one before."""
        order = self.chosen(which)
        etag = ["", order.etag, str(int(order.etag) - 1)][age]
        done = self.change(which, "update", False, note=note, etag=etag)
        assert not (done and age == 2)

    def change(self, which: int, verb: str, works: bool, **more: Any) -> bool:
        """Whether it was done. What must be refused by what was seen before is."""
        order, payment = self.chosen(which), self.payments[self.chosen(which).order_id]
        token, more["amount"] = self.owners[order.order_id], _amount(verb, more.get("amount", "rest"), payment)
        reason = self.do(calls.answered(lambda: calls.make(self.till, verb, order, token, **more)))[1]
        hand = order.order_id in self.by_hand
        must = rules.refusable(verb, order, payment, hand, more["amount"])
        assert reason or not must, (verb, more, order, payment)
        if not reason:
            self.note_done(verb, order, more)
        if works:
            self.work()
        self.do(self._look_again(which % len(self.orders)))
        return not reason

    async def _look_again(self, number: int) -> None:
        order = self.orders[number]
        self.orders[number] = found = await self.shop.get(order.order_id, self.shop.operator)
        self.payments[order.order_id] = await self.shop.payment(order.payment_id, self.shop.operator)
        rules.check(found, self.payments[order.order_id])

    def note_done(self, verb: str, order: order_pb2.Order, more: dict[str, Any]) -> None:
        if verb == "mark_paid":
            self.by_hand.add(order.order_id)
        if verb == "update":
            self.notes[order.order_id] = more["note"]

    @precondition(lambda self: self.orders)
    @rule(
        which=WHICH,
        verbs=st.lists(st.sampled_from([*calls.VERBS, "work", "expire"]), min_size=2, max_size=4),
        amount=AMOUNT,
    )
    def at_once(self, which: int, verbs: list[str], amount: str) -> None:
        order = self.chosen(which)
        minor = _amount("refund", amount, self.payments[order.order_id])
        for verb in self.do(calls.at_once(self.till, verbs, order, self.owners[order.order_id], minor)):
            self.note_done(verb, order, {"note": "raced"})

    @precondition(lambda self: self.orders)
    @rule(which=WHICH, verb=st.sampled_from(["cancel", "confirm", "update"]), who=st.integers(0, 2))
    def stranger_tries(self, which: int, verb: str, who: int) -> None:
        order = self.chosen(which)
        own = self.owners[order.order_id]
        other = [*self.strangers, self.partner if own == self.user else self.user][who]
        reason = self.do(calls.answered(lambda: calls.make(self.till, verb, order, other, note="mine")))[1]
        assert reason.endswith("_NOT_FOUND"), reason

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "product"):
            self.do(self._check())

    async def _check(self) -> list[order_pb2.Order]:
        """Everybody sees what is theirs as it must be."""
        seen = {
            order.order_id: order
            for token in (self.user, self.partner)
            for order in await calls.listed(self.till, token)
        }
        assert sorted(seen) == sorted(order.order_id for order in self.orders)
        found = [seen[order.order_id] for order in self.orders]
        for order, before in zip(found, self.orders, strict=True):
            payment = self.payments[order.order_id] = await self.shop.payment(order.payment_id, self.shop.operator)
            rules.check(order, payment)
            buyer = self.buyer if self.owners[order.order_id] == self.user else self.ann
            assert (order.customer_id, order.note) == (buyer, self.notes.get(order.order_id, ""))
            assert int(order.etag) >= int(before.etag)
            assert before.state not in (*rules.ENDED, order_pb2.ORDER_STATE_COMPLETED) or order.state == before.state
        self.orders = found
        self.returned = sum(order.lines[0].returned_quantity for order in found)
        taken = sum(order.lines[0].quantity for order in found if order.state not in rules.ENDED)
        assert await self.shop.stock(self.product) == self.stocked - taken + self.returned >= 0
        await books.check(self.shop, [order.order_id for order in found])
        return found

    def teardown(self) -> None:
        for number in range(len(self.orders)):
            self.tell_all(number)
        if self.orders:
            self.do(self._finish())

    def tell_all(self, number: int) -> None:
        """A story of each order, whatever came before."""
        story = STORIES[(0, 2, 1, 1, 3)[number % 5]]
        for verb in story:
            self.change(number, verb, bool(number % 2), amount=("over", "one")[number % 2], units=1, note="late")

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
        for token in (self.user, self.partner):
            own = [order for order in found if self.owners[order.order_id] == token]
            own.sort(key=lambda order: order.order_id, reverse=True)
            assert await calls.exported(self.till, token) == own
        assert await self.shop.count(_TOLD, ids=[o.payment_id for o in found]) == len(self.told), "each event once"
