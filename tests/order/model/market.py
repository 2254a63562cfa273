"""A market of one product in each mode and a few callers: what is done to it, and what must hold of it."""

import asyncio
from datetime import timedelta
from typing import Any, NamedTuple

from weft.api.v1.mode_pb2 import MODE_LIVE, MODE_TEST, Mode
from weft.order.v1 import order_pb2, payment_pb2

from chassis import ids
from chassis.clock import FixedClock
from tests.order.model import calls, prices, rules
from tests.order.payments import books
from tests.order.payments.till import MAX_PENDING_TIME, Killed, Till
from tests.order.shop import SCOPES
from tests.order.users import Users

STOCK = 12
CALLERS = ("user", "partner", "tester")
"""A buyer, a partner for a customer of its own, and the same partner in TEST."""
_TOLD = "SELECT count(*) FROM provider_events WHERE payment_id = ANY(%(ids)s)"


class Caller(NamedTuple):
    """Who orders: by which token, for whom, in which mode."""

    token: str
    customer: str
    mode: Mode.ValueType
    named: bool


class Market:
    """Orders, and a payment worker that is run and killed by hand. Orders are named by their number, from 0; -1 is the last."""

    def __init__(self, till: Till, users: Users) -> None:
        self.till, self.shop = till, till.shop
        self.orders: list[order_pb2.Order] = []
        self.payments: dict[str, payment_pb2.Payment] = {}
        self.owners: dict[str, Caller] = {}
        self.agreed: dict[str, prices.Priced] = {}
        self.notes: dict[str, str] = {}
        self.by_hand: set[str] = set()
        self.told: set[str] = set()
        self.table: prices.Table = {}
        partner, issuer = ids.new("prt"), self.shop.issuer
        people = [ids.new("usr") for _ in CALLERS]
        users.add(people[1], partner)
        users.add(people[2], partner, mode=MODE_TEST)
        self.shop.operator = issuer.operator(self.shop.operator_id, SCOPES)  # one of before may have expired
        self.callers = {
            "user": Caller(issuer.user(people[0]), people[0], MODE_LIVE, False),
            "partner": Caller(self.shop.partner(partner), people[1], MODE_LIVE, True),
            "tester": Caller(issuer.partner(partner, SCOPES, mode="TEST"), people[2], MODE_TEST, True),
        }
        self.strangers = [issuer.user(ids.new("usr")), self.shop.partner(ids.new("prt"))]

    async def open(self) -> None:
        """With its products, and no charges."""
        tester = self.callers["tester"].token
        self.live, self.test = [await self.shop.product(prices.PRICES[0], STOCK, token=t) for t in ("", tester)]
        self.stocked = {self.live: STOCK, self.test: STOCK}
        self.price = dict.fromkeys(self.stocked, prices.PRICES[0])
        await self.reprice(prices.PRICES[0], 0)

    def number(self, which: int) -> int:
        """Of some order."""
        return which % len(self.orders)

    async def place(
        self, method: str, units: int, capture: int = 1, who: str = "user", *, region: str = "", agreed: str = "quoted"
    ) -> bool:
        """Ask what it costs, and order at that total, at another one, or without saying. A caller in TEST takes turns with products."""
        caller = self.callers[who]
        product = self.test if caller.mode == MODE_TEST and units % 2 else self.live
        expected = prices.price(units, self.price[product], self.table, region)
        quoted = await calls.quote(self.shop, product, units, caller.token, region)
        left = await self._stock(product)
        assert (prices.read(quoted), quoted.available) == (expected, units <= left)
        total = {"quoted": expected.total, "other": expected.total + 1}.get(agreed)
        named = {"customer_id": caller.customer} if caller.named else {}
        placed, reason = await calls.answered(
            lambda: calls.order(
                self.shop, product, units, caller.token, region, total, method=method, capture=capture, **named
            )
        )
        refusal = "PRICE_CHANGED" if agreed == "other" else "OUT_OF_STOCK" if units > left else ""
        assert reason == refusal
        if placed:
            assert prices.read(placed) == expected
            self._note_placed(placed, caller)
        return placed is not None

    async def rush(self, count: int, units: int) -> None:
        """Several callers at once, perhaps for the last units: nobody is refused what is left."""

        async def one(who: str) -> str:
            caller = self.callers[who]
            named = {"customer_id": caller.customer} if caller.named else {}
            placed, reason = await calls.answered(
                lambda: calls.order(self.shop, self.live, units, caller.token, "", None, **named)
            )
            if placed:
                self._note_placed(placed, caller)
            return reason

        reasons = await asyncio.gather(*(one(CALLERS[n % len(CALLERS)]) for n in range(count)))
        assert set(reasons) <= {"", "OUT_OF_STOCK"}
        assert "OUT_OF_STOCK" not in reasons or await self._stock(self.live) < units

    def _note_placed(self, placed: order_pb2.Order, caller: Caller) -> None:
        self.orders.append(placed)
        self.owners[placed.order_id] = caller
        self.agreed[placed.order_id] = prices.read(placed)

    async def _stock(self, product: str) -> int:
        return await self.shop.count("SELECT stock FROM products WHERE product_id = %(id)s", id=product)

    async def reprice(self, price: int, table: int) -> None:
        """Another price, and other charges."""
        self.table = prices.TABLES[table]
        await calls.recharge(self.shop, prices.rows(self.table))
        if price != self.price[self.live]:
            await calls.reprice(self.shop, self.live, price)
            self.price[self.live] = price

    async def adjust(self, units: int) -> None:
        """Units are found, or lost."""
        if await calls.adjust(self.shop, self.live, units):
            self.stocked[self.live] += units

    async def work(self) -> None:
        """Make all steps of payments that are due."""
        await self.till.run()

    async def die(self, where: str) -> None:
        """As `work`, until the process ends at a place; then its leases run out."""
        self.till.sandbox.dies = where
        try:
            await self.till.run()
        except Killed:
            pass
        finally:
            self.till.sandbox.dies = ""
        self.advance(timedelta(seconds=31))

    def advance(self, time: timedelta) -> None:
        """The clock jumps, perhaps back; nothing happens yet."""
        assert isinstance(self.shop.app.clock, FixedClock)
        self.shop.app.clock.advance(time)

    async def wait(self, time: timedelta) -> None:
        """The clock jumps, and what is due by it happens: charge-backs, expiry."""
        self.advance(time)
        await self.till.sandbox.change_later()
        await self.till.expiry.run()

    async def hear(self, which: int, number: int, forged: bool) -> None:
        """An event of the provider: early, late, one that came before, or one that somebody made up."""
        payment_id = self.orders[self.number(which)].payment_id
        await calls.tell(self.till, f"{payment_id}{number}", payment_id, forged)
        if not forged:
            self.told.add(f"{payment_id}{number}")

    async def change(self, which: int, verb: str, works: bool = False, **more: Any) -> bool:
        """Whether it was done. What must be refused by what was seen before is."""
        order = self.orders[self.number(which)]
        payment, caller = self.payments[order.order_id], self.owners[order.order_id]
        more["amount"] = rules.amount(verb, more.get("amount", "rest"), payment)
        reason = (await calls.answered(lambda: calls.make(self.till, verb, order, caller.token, **more)))[1]
        must = rules.refusable(verb, order, payment, order.order_id in self.by_hand, more["amount"])
        assert reason or not must, (verb, more, order, payment)
        if not reason:
            self._note_done(verb, order, more)
        before = order, payment
        await self._look_again(self.number(which))
        rules.check_step(verb, not reason, *before, self.orders[self.number(which)])
        if works:
            await self.work()
            await self._look_again(self.number(which))
        return not reason

    async def at_once(self, which: int, verbs: list[str], amount: str) -> list[str]:
        """The verbs that were done, of several at the same time."""
        await self._look_again(self.number(which))
        order = self.orders[self.number(which)]
        minor = rules.amount("refund", amount, self.payments[order.order_id])
        done = await calls.at_once(self.till, verbs, order, self.owners[order.order_id].token, minor)
        for verb in done:
            self._note_done(verb, order, {"note": "raced"})
        return done

    async def overtake(self, which: int, verb: str) -> list[str]:
        """As `work`, and a call comes between an answer of the provider and what is written of it; the call if it was done."""
        done: list[str] = []

        async def come() -> None:
            done.extend(await self.at_once(which, [verb], "one"))

        self.till.sandbox.meanwhile = come
        await self.till.run()
        self.till.sandbox.meanwhile = None
        return done

    def _note_done(self, verb: str, order: order_pb2.Order, more: dict[str, Any]) -> None:
        if verb == "mark_paid":
            self.by_hand.add(order.order_id)
        if verb == "update":
            self.notes[order.order_id] = more["note"]

    async def intrude(self, which: int, verb: str, who: int) -> None:
        """A stranger, or a caller of another owner or mode, finds no such order."""
        order = self.orders[self.number(which)]
        own = self.owners[order.order_id].token
        others = [*self.strangers, *(caller.token for caller in self.callers.values() if caller.token != own)]
        if verb == "confirm":
            others.append(self.shop.operator)  # pays nothing for others
        token = others[who % len(others)]
        reason = (await calls.answered(lambda: calls.make(self.till, verb, order, token, note="mine")))[1]
        assert reason.endswith("_NOT_FOUND"), reason

    async def _look_again(self, number: int) -> None:
        order = self.orders[number]
        self.orders[number] = found = await self.shop.get(order.order_id, self.shop.operator)
        self.payments[order.order_id] = await self.shop.payment(order.payment_id, self.shop.operator)
        rules.check(found, self.payments[order.order_id])

    async def check(self) -> None:
        """Everybody sees what is theirs as it must be; stock and books are right."""
        seen = {o.order_id: o for c in self.callers.values() for o in await calls.listed(self.till, c.token)}
        paid = {k: p for c in self.callers.values() for k, p in (await calls.paid(self.till, c.token)).items()}
        assert sorted(seen) == sorted(paid) == sorted(order.order_id for order in self.orders)
        self.payments = paid
        found = [seen[order.order_id] for order in self.orders]
        for order, before in zip(found, self.orders, strict=True):
            payment = paid[order.order_id]
            rules.check(order, payment)
            caller = self.owners[order.order_id]
            assert (order.customer_id, order.mode, payment.mode) == (caller.customer, caller.mode, caller.mode)
            assert order.note == self.notes.get(order.order_id, "")
            assert prices.read(order) == self.agreed[order.order_id], "it costs what it did"
            assert int(order.etag) >= int(before.etag)
            assert before.state not in (*rules.ENDED, order_pb2.ORDER_STATE_COMPLETED) or order.state == before.state
        self.orders = found
        for product, mode in ((self.live, MODE_LIVE), (self.test, MODE_TEST)):
            own = [o for o in found if (o.lines[0].product_id, o.mode) == (product, mode)]
            taken = sum(o.lines[0].quantity for o in own if o.state not in rules.ENDED)
            returned = sum(o.lines[0].returned_quantity for o in own)
            assert await self._stock(product) == self.stocked[product] - taken + returned >= 0
        await books.check(self.shop, [order.order_id for order in found])

    async def finish(self) -> None:
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
        await self.check()
        await books.check_ended(self.shop, self.orders)
        for order in self.orders:
            await books.check_story(self.shop, order)
        for caller in self.callers.values():
            own = [order for order in self.orders if self.owners[order.order_id] == caller]
            own.sort(key=lambda order: order.order_id, reverse=True)
            assert await calls.exported(self.till, caller.token) == own
        found = await self.shop.count(_TOLD, ids=[order.payment_id for order in self.orders])
        assert found == len(self.told), "each event once"
