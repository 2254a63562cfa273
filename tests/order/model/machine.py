"""Random sequences of everything that may happen in a market."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.order.payments.gateways import sandbox
from tests.order.model import calls, prices
from tests.order.model.market import CALLERS, Market
from tests.order.payments.till import Till
from tests.order.users import Users

METHODS = st.just("pm_sandbox_ok") | st.sampled_from(sorted({*sandbox._AT_ONCE, *sandbox._LATER, "pm_unknown"}))
WHICH = st.integers(0, 7)
MANY = 7
AMOUNT = st.sampled_from(["rest", "one", "most", "over"])
PLACES = st.sampled_from(
    [f"{w} {c}" for w in ("before", "after") for c in ("authorize", "confirm", "capture", "refund", "reverse")]
)
TIMES = st.sampled_from([timedelta(seconds=s) for s in (2, 61, 31 * 60, 86_400, -90)])
WHO = st.sampled_from(CALLERS)
MONEY = ("capture", "refund", "mark_paid", "give_back")
GOODS = ("ship", "deliver", "request_return", "approve", "refuse", "receive")
STORIES = (
    ("ship", "update", "cancel", "deliver", "request_return", "approve", "receive", "refund", "receive"),
    ("mark_paid", "cancel", "refund", "give_back", "release", "give_back", "release"),
    ("give_back", "capture", "ship", "refund", "refund", "cancel"),
    ("cancel", "update", "refund", "give_back", "capture", "ship"),
)
"""Calls after one another, which chance seldom finds."""
has_orders = precondition(lambda self: self.market.orders)


class Model(RuleBasedStateMachine):
    """Each rule is one thing that may happen next; what must hold is asked after each."""

    def __init__(self, till: Till, users: Users, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop, self.market, self.opened = loop, Market(till, users), False

    def do(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The result, in the loop of the service."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(30)

    @initialize(method=METHODS, table=st.integers(0, 2), time=TIMES)
    def begin(self, method: str, table: int, time: timedelta) -> None:
        self.do(self.market.open())
        self.do(self.market.reprice(prices.PRICES[0], table))
        self.do(self.market.place("pm_sandbox_ok", 2, who="partner", region="AT"))
        self.do(self.market.place("pm_sandbox_ok", 2, 2, who="tester"))
        self.do(self.market.place(method, 1))
        self.do(self.market.work())
        self.do(self.market.wait(time))
        self.opened = True

    @precondition(lambda self: len(self.market.orders) < MANY)
    @rule(
        method=METHODS, units=st.integers(1, 3), capture=st.integers(0, 2), who=WHO, works=st.booleans(),
        region=st.sampled_from(["", "AT", "CH"]), agreed=st.sampled_from(["quoted", "other", "not"]),
    )  # fmt: skip
    def order(self, works: bool, **more: Any) -> None:
        self.do(self.market.place(**more))
        if works:
            self.work()

    @precondition(lambda self: len(self.market.orders) < MANY)
    @rule(count=st.integers(2, 4), units=st.integers(1, 4))
    def rush(self, count: int, units: int) -> None:
        self.do(self.market.rush(count, units))

    @rule(price=st.sampled_from(prices.PRICES), table=st.integers(0, 2))
    def reprice(self, price: int, table: int) -> None:
        self.do(self.market.reprice(price, table))

    @rule()
    def work(self) -> None:
        self.do(self.market.work())

    @rule(where=PLACES)
    def die(self, where: str) -> None:
        self.do(self.market.die(where))

    @rule(time=TIMES)
    def wait(self, time: timedelta) -> None:
        self.do(self.market.wait(time))

    @rule(units=st.integers(-2, 3).filter(bool))
    def adjust(self, units: int) -> None:
        self.do(self.market.adjust(units))

    @has_orders
    @rule(which=WHICH, number=st.integers(0, 2), forged=st.booleans())
    def event(self, which: int, number: int, forged: bool) -> None:
        self.do(self.market.hear(which, number, forged))

    @has_orders
    @rule(which=WHICH, verb=st.sampled_from(MONEY), amount=AMOUNT, works=st.booleans())
    def money(self, which: int, verb: str, amount: str, works: bool) -> None:
        self.do(self.market.change(which, verb, works, amount=amount))

    @has_orders
    @rule(which=WHICH, method=METHODS | st.just(""), works=st.booleans())
    def confirm(self, which: int, method: str, works: bool) -> None:
        self.do(self.market.change(which, "confirm", works, method=method))

    @has_orders
    @rule(which=WHICH, verb=st.sampled_from(["cancel", "release"]), works=st.booleans())
    def end(self, which: int, verb: str, works: bool) -> None:
        self.do(self.market.change(which, verb, works))

    @has_orders
    @rule(which=WHICH, verb=st.sampled_from(GOODS), units=st.integers(0, 2), works=st.booleans())
    def goods(self, which: int, verb: str, units: int, works: bool) -> None:
        self.do(self.market.change(which, verb, works, units=units))

    @has_orders
    @rule(which=WHICH, story=st.sampled_from(STORIES), units=st.integers(0, 2), amount=AMOUNT, works=st.booleans())
    def tell(self, which: int, story: tuple[str, ...], units: int, amount: str, works: bool) -> None:
        for verb in story:
            back = 1 if verb == "receive" else units
            self.do(self.market.change(which, verb, works, amount=amount, units=back, note="late"))

    @has_orders
    @rule(which=WHICH, note=st.sampled_from(["", "ring twice"]), age=st.integers(0, 2))
    def update(self, which: int, note: str, age: int) -> None:
        """With no etag, the current one, or one before."""
        etag = self.market.orders[self.market.number(which)].etag
        done = self.do(self.market.change(which, "update", note=note, etag=["", etag, str(int(etag) - 1)][age]))
        assert not (done and age == 2)

    @has_orders
    @rule(
        which=WHICH,
        verbs=st.lists(st.sampled_from([*calls.VERBS, "work", "expire"]), min_size=2, max_size=4),
        amount=AMOUNT,
    )
    def at_once(self, which: int, verbs: list[str], amount: str) -> None:
        self.do(self.market.at_once(which, verbs, amount))

    @has_orders
    @rule(which=WHICH, verb=st.sampled_from([*calls.VERBS, "expire"]))
    def overtake(self, which: int, verb: str) -> None:
        self.do(self.market.overtake(which, verb))

    @has_orders
    @rule(which=WHICH, verb=st.sampled_from(["cancel", "confirm", "update"]), who=st.integers(0, 4))
    def stranger_tries(self, which: int, verb: str, who: int) -> None:
        self.do(self.market.intrude(which, verb, who))

    @invariant()
    def holds(self) -> None:
        if self.opened:
            self.do(self.market.check())

    def teardown(self) -> None:
        if self.opened:
            self.do(self.market.finish())
