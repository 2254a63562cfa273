"""One sequence that goes where chance seldom does: every state, and what a mistake there would cost."""

from datetime import timedelta

from weft.order.v1 import order_pb2

from tests.order.model import prices
from tests.order.model.market import Market

AT_ONCE, AT_SHIPMENT = 1, 2
LATER, EXPIRED = timedelta(seconds=2), timedelta(minutes=31)
SILENT, DECLINED, UNASKED, BACK, SENT, TRIED, ENDED, RACED, ACTED, TESTED = range(10)
"""The numbers of the orders, by what becomes of them."""


async def walk(market: Market) -> None:
    """What must hold is asked after each part."""
    await market.open()
    for part in (_unpaid, _charged_back, _returned, _raced, _in_test, _ended):
        await part(market)
        await market.check()
    await market.finish()


async def _unpaid(market: Market) -> None:
    """A provider that is silent, and one that declines, until the orders expire: no money is kept, no unit."""
    assert await market.place("pm_sandbox_timeout", 2)
    assert await market.place("pm_sandbox_declined", 1, who="partner")
    await market.work()
    await market.check()
    await market.intrude(SILENT, "cancel", 2)
    await market.intrude(SILENT, "confirm", 4)
    assert not await market.change(SILENT, "mark_paid"), "the provider may collect it yet"
    assert not await market.change(SILENT, "confirm", method="pm_sandbox_ok")
    assert not await market.change(SILENT, "ship")
    assert await market.place("pm_sandbox_ok", 1)
    await market.wait(EXPIRED)
    await market.check()
    assert not await market.change(SILENT, "cancel")
    assert not await market.change(DECLINED, "confirm", method="pm_sandbox_ok")
    await market.work()


async def _charged_back(market: Market) -> None:
    """The bank takes back what is left after a refund, and gives it again after everything was delivered."""
    await market.reprice(prices.PRICES[1], 1)
    assert not await market.place("pm_sandbox_ok", 2, region="AT", agreed="other")
    assert await market.place("pm_sandbox_charge_back_reversed", 2, region="AT")
    await market.work()
    await market.check()
    assert await market.change(BACK, "refund", works=True, amount="one")
    assert await market.change(BACK, "ship", units=1)
    assert not await market.change(BACK, "cancel"), "a unit has left"
    assert await market.change(BACK, "ship")
    await market.wait(LATER)
    await market.work()
    await market.check()
    assert not await market.change(BACK, "refund", amount="one")
    assert await market.change(BACK, "deliver")
    await market.wait(LATER)
    await market.hear(BACK, 0, forged=True)
    await market.hear(BACK, 0, forged=False)
    await market.hear(BACK, 0, forged=False)
    await market.work()
    await market.check()
    assert market.orders[BACK].state == order_pb2.ORDER_STATE_COMPLETED


async def _returned(market: Market) -> None:
    """Units leave, and come back in parts, with a part of the price and of the tax."""
    await market.reprice(prices.PRICES[0], 2)
    assert await market.place("pm_sandbox_capture_fails_once", 3, AT_SHIPMENT, "partner", agreed="not")
    await market.work()
    await market.check()
    assert not await market.change(SENT, "capture", amount="over")
    assert await market.change(SENT, "ship", units=1)
    for _ in range(2):
        await market.work()
        market.advance(timedelta(seconds=61))
    await market.check()
    assert await market.change(SENT, "ship")
    assert await market.change(SENT, "deliver")
    assert await market.change(SENT, "request_return", units=2)
    assert not await market.change(SENT, "receive", units=1), "not approved"
    assert await market.change(SENT, "approve")
    assert await market.change(SENT, "receive", units=1)
    await market.die("after refund")
    await market.work()
    await market.check()
    assert not await market.change(SENT, "receive", units=2), "one is on its way"
    assert len(await market.at_once(SENT, ["receive", "receive"], "rest")) == 1
    await market.work()
    await market.check()
    assert not await market.change(SENT, "receive", units=1), "all came back"


async def _raced(market: Market) -> None:
    """Paid by transfer after a decline; then two refunds, and a cancellation and a capture, at once."""
    assert await market.place("pm_sandbox_declined_fraud", 1)
    assert await market.place("pm_sandbox_ok", 2, AT_SHIPMENT, "partner", region="AT")
    assert await market.place("pm_sandbox_ok", 1)
    assert await market.place("pm_sandbox_action_required", 1)
    await market.work()
    await market.check()
    assert await market.change(TRIED, "mark_paid")
    assert not await market.change(TRIED, "cancel"), "nobody gives it back"
    assert not await market.change(TRIED, "give_back", amount="over")
    assert await market.change(TRIED, "give_back", amount="rest")
    assert "cancel" in await market.at_once(ENDED, ["cancel", "capture"], "rest")
    assert len(await market.at_once(RACED, ["refund", "refund"], "most")) == 1
    await market.die("after refund")
    await market.work()
    await market.check()
    assert not await market.change(RACED, "refund", amount="one")
    assert await market.change(ACTED, "confirm", works=True)
    await market.check()


async def _in_test(market: Market) -> None:
    """TEST takes what is LIVE's for granted, and leaves it there."""
    assert await market.place("pm_sandbox_ok", 2, who="tester")
    assert await market.place("pm_sandbox_ok", 1, who="tester")
    assert await market.place("pm_sandbox_ok", 3, AT_SHIPMENT, "tester")
    await market.work()
    await market.check()
    assert await market.change(TESTED + 2, "capture", works=True, amount="one")
    await market.intrude(TESTED, "cancel", 2)
    assert await market.change(TESTED, "cancel", works=True)
    assert await market.change(TESTED + 1, "ship")
    await market.check()
    for method in ("pm_sandbox_ok", "pm_sandbox_action_required"):
        assert await market.place(method, 1)
        assert await market.overtake(-1, "cancel") == ["cancel"]
        await market.check()
    await market.rush(4, 3)


async def _ended(market: Market) -> None:
    """What has ended changes no more, whatever the clock does."""
    market.advance(timedelta(seconds=-90))
    for verb in ("cancel", "refund", "capture", "ship", "mark_paid", "update", "give_back"):
        assert not await market.change(ENDED, verb, note="late"), verb
    await market.change(ACTED, "cancel", works=True)
    await market.wait(timedelta(days=1))
    await market.work()
