"""The peers mean what Weft means: the same request has the same effect on every side."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.stacks import background
from bench.stacks.peers import Peer
from chassis import ids
from tests.bench.sides import PLENTY, SCARCE, Rest, Side, filled
from tests.servers import until

NOTHING = {"orders": 0, "lines": 0, "payments": 0, "events": 0, "replies": 0, "changes": 0}
ONE_ORDER = {"orders": 1, "lines": 2, "payments": 1, "events": 1, "replies": 1, "changes": 1}


async def test_an_order_reserves_stock_and_writes_what_belongs_to_it(side: Side) -> None:
    answer = await side.place(side.order(1, 2, note="as usual"), "key-1")
    assert (answer.outcome, answer.replayed) == ("OK", False)
    order = answer.order or {}
    assert order["customerId"] == side.customer
    assert [(line["productId"], line["quantity"]) for line in order["lines"]] == [
        (side.products[0], 1),
        (side.products[1], 2),
    ]
    prices = [int(line["unitPrice"]["amountMinor"]) for line in order["lines"]]
    assert int(order["total"]["amountMinor"]) == prices[0] + 2 * prices[1]
    assert (order["state"], order["paymentState"]) == ("ORDER_STATE_PENDING", "PAYMENT_STATE_PENDING")
    assert await side.stock() == [SCARCE - 1, PLENTY - 2]
    assert await side.written() == ONE_ORDER


async def test_the_same_key_is_answered_with_the_same_order(side: Side) -> None:
    first = await side.place(side.order(3, 1), "key-1")
    again = await side.place(side.order(3, 1), "key-1")
    assert (again.outcome, again.replayed) == ("OK", True), "stock is gone, and yet the stored reply comes"
    assert again.order == first.order
    assert await side.written() == ONE_ORDER


async def test_the_same_key_at_once_makes_one_order(side: Side) -> None:
    answers = await asyncio.gather(*(side.place(side.order(1, 1), "key-1") for _ in range(8)))
    assert {answer.outcome for answer in answers} == {"OK"}
    assert len({str(answer.order) for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert await side.written() == ONE_ORDER


async def test_a_key_does_not_serve_another_request(side: Side) -> None:
    await side.place(side.order(1, 1), "key-1")
    assert (await side.place(side.order(1, 2), "key-1")).outcome == "IDEMPOTENCY_KEY_REUSED"
    assert await side.written() == ONE_ORDER


async def test_more_than_the_stock_is_refused_whole(side: Side) -> None:
    assert (await side.place(side.order(SCARCE + 1, 1), "key-1")).outcome == "OUT_OF_STOCK"
    assert await side.stock() == [SCARCE, PLENTY]
    assert await side.written() == NOTHING


async def test_stock_never_falls_below_zero_however_many_ask_at_once(side: Side) -> None:
    answers = await asyncio.gather(*(side.place(side.order(1, 1), f"key-{n}") for n in range(SCARCE + 5)))
    outcomes = sorted(answer.outcome for answer in answers)
    assert outcomes == ["OK"] * SCARCE + ["OUT_OF_STOCK"] * 5
    assert await side.stock() == [0, PLENTY - SCARCE]


async def test_lines_of_one_product_are_merged(side: Side) -> None:
    order = side.order(1, 1)
    order["lines"].append({"productId": side.products[1], "quantity": 4})
    answer = await side.place(order, "key-1")
    assert [line["quantity"] for line in (answer.order or {})["lines"]] == [1, 5]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"lines": []}, "INVALID"),
        ({"lines": [{"productId": "prd_x", "quantity": 1}]}, "INVALID"),
        ({"paymentMethod": "4242 4242"}, "INVALID"),
        ({"note": "n" * 501}, "INVALID"),
        ({"customerId": ids.new("usr")}, "CUSTOMER_NOT_FOUND"),
        ({"lines": [{"productId": ids.new("prd"), "quantity": 1}]}, "PRODUCT_NOT_FOUND"),
    ],
)
async def test_what_is_wrong_is_refused(side: Side, change: dict[str, object], outcome: str) -> None:
    assert (await side.place({**side.order(1, 1), **change}, "key-1")).outcome == outcome
    assert await side.written() == NOTHING


async def test_an_order_needs_a_key(side: Side) -> None:
    assert (await side.place(side.order(1, 1))).outcome == "INVALID"


async def test_a_reference_is_unique_for_a_partner(side: Side) -> None:
    assert (await side.place(side.order(1, 1, externalReference="r-1"), "key-1")).outcome == "OK"
    assert (await side.place(side.order(1, 1, externalReference="r-1"), "key-2")).outcome == "EXTERNAL_REFERENCE_TAKEN"
    assert await side.written() == ONE_ORDER


async def test_orders_are_read_as_they_were_placed(side: Side) -> None:
    placed = [(await side.place(side.order(0, 1), f"key-{n}")).order or {} for n in range(5)]
    found = await side.get(placed[0]["orderId"])
    assert _without_times(found.order or {}) == _without_times(placed[0])
    assert (await side.get(ids.new("ord"))).outcome == "ORDER_NOT_FOUND"
    assert await side.listed() == [order["orderId"] for order in reversed(placed)]


async def test_what_an_order_begins_is_done_once(started: Callable[[str], tuple[Peer, str]], tmp_path: Path) -> None:
    """Peer (e): the payment, two notices and a mail, also where the order's event comes again."""
    peer, url = await asyncio.to_thread(started, "fastapi_sqlalchemy")
    async with Rest(peer, url) as side:
        await side.empty()
        await filled(side)
        await side.place(side.order(1, 1), "key-1")
        [(event,)] = await side.query("SELECT payload::text FROM outbox")
        running = await asyncio.to_thread(background.start, peer.env, tmp_path / "background", 1)
        try:
            await until(lambda: _settled(side), "the order is settled")
            done = await _done(side)
            assert done == [("ORDER_STATE_CONFIRMED", "PAYMENT_STATE_CAPTURED", 3, 2, 1, "CAPTURED")]
            await side.query(
                "INSERT INTO outbox (kind, payload, traceparent, attempts, due) "
                f"VALUES ('order.placed', '{event}', '', 0, now()) RETURNING id"
            )
            await side.place(side.order(1, 1, paymentMethod="pm_sandbox_declined"), "key-2")
            await until(lambda: _settled(side), "the order that is not paid is settled, and so is what came again")
            assert sorted(await _done(side)) == [
                ("ORDER_STATE_CANCELLED", "PAYMENT_STATE_FAILED", 2, 2, 1, None),
                *done,
            ]
            assert await side.stock() == [SCARCE - 1, PLENTY - 1]
            assert len(list(running.mails.glob("*.eml"))) == 2
        finally:
            await asyncio.to_thread(running.stop)


async def _settled(side: Side) -> bool:
    return await side.query(
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM payments WHERE state IN ('PAYMENT_STATE_PENDING', "
        "'PAYMENT_STATE_AUTHORIZED')) + (SELECT abs((SELECT count(*) FROM payments) - count(*)) FROM deliveries WHERE state = 'SENT')"
    ) == [(0,)]


async def _done(side: Side) -> list[tuple[object, ...]]:
    """Of each order: its state, its payment's, and how many events, notices and mails; and the provider's charge."""
    return await side.query(
        "SELECT o.state, o.payment_state, (SELECT count(*) FROM order_events e WHERE e.order_id = o.order_id), "
        "(SELECT count(*) FROM notices WHERE body LIKE '%' || o.order_id || '%'), "
        "(SELECT count(*) FROM deliveries WHERE data ->> 'order_id' = o.order_id), c.state "
        "FROM orders o LEFT JOIN charges c USING (payment_id)"
    )


def _without_times(order: dict[str, object]) -> dict[str, object]:
    """PostgreSQL keeps microseconds; the reply of a peer may have been written otherwise."""
    return {name: value for name, value in order.items() if not name.endswith("Time")}
