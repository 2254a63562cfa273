"""What a buyer says of an order is changed until its first unit is shipped."""

import asyncio

import pytest
from weft.api.v1.event_pb2 import Event
from weft.order.v1 import events_pb2, fulfilment_pb2, order_event_pb2
from weft.order.v1 import order_pb2 as pb
from weft.order.v1.shipping_address_pb2 import ShippingAddress

from chassis import ids
from chassis.storage.database import Query
from services.order.customers.repository import CustomerRepository
from services.order.order_rows import ADDRESS_CONTEXT
from tests.harness import assert_refusal, assert_refused
from tests.order.orders.calls import update
from tests.order.shop import Shop, metadata


async def test_the_note_and_the_metadata_are_what_was_said_last(quiet_shop: Shop) -> None:
    shop = quiet_shop
    own = {"basket": "7", "quoted": '"\\{}, ü'}
    placed = await shop.order((await shop.product(), 2), note="ring twice", metadata=own)
    assert (placed.metadata, await shop.get(placed.order_id)) == (own, placed)
    watched = shop.watch()
    await watched.read()
    own["basket"] = "8"
    first = await update(shop, placed.order_id, metadata=own)
    assert (first.note, first.metadata, int(first.etag)) == ("ring twice", own, int(placed.etag) + 1)
    told = (await watched.read()).order
    if told.etag == placed.etag:  # the stream began before its placing was told
        told = (await watched.read()).order
    assert told == first, "as watchers see it"
    assert await shop.get(placed.order_id) == first
    cleared = await update(shop, placed.order_id, "*", etag=first.etag)
    assert (cleared.note, {**cleared.metadata}) == ("", {})
    same = await update(shop, placed.order_id)
    assert same == cleared, "nothing was named"
    await update(shop, placed.order_id, "note", note="leave it there", metadata={"not": "named"}, token=shop.operator)
    found = await shop.get(placed.order_id)
    assert (found.note, {**found.metadata}, found.total, found.lines) == (
        "leave it there", {}, placed.total, placed.lines
    )  # fmt: skip
    request = order_event_pb2.ListOrderEventsRequest(order_id=placed.order_id)
    story = (await shop.orders.ListOrderEvents(request, metadata=metadata(shop.user))).events
    assert [(e.type, e.actor) for e in story][1:] == [
        ("order.updated", shop.user_id), ("order.updated", shop.user_id), ("order.updated", shop.operator_id)
    ]  # fmt: skip
    assert [_fields(event) for event in await shop.emitted(placed.order_id)][1:] == [
        ["metadata"], ["note", "metadata"], ["note"]
    ]  # fmt: skip


def _fields(event: Event) -> list[str]:
    told = events_pb2.OrderUpdated()
    return [*told.fields] if event.payload.Unpack(told) else []


async def test_of_two_who_saw_the_same_order_one_updates_it(quiet_shop: Shop) -> None:
    shop = quiet_shop
    placed = await shop.order((await shop.product(), 1))
    calls = (update(shop, placed.order_id, note=str(n), etag=placed.etag) for n in range(5))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    done = [outcome for outcome in outcomes if isinstance(outcome, pb.Order)]
    assert (len(done), done[0].note) == (1, (await shop.get(placed.order_id)).note)
    for outcome in outcomes:
        assert outcome is done[0] or assert_refusal(outcome, "ETAG_MISMATCH", etag=done[0].etag)
    late = update(shop, placed.order_id, note="late", etag=placed.etag)
    await assert_refused(late, "ETAG_MISMATCH", etag=done[0].etag)


async def test_what_has_left_or_ended_or_is_anothers_is_not_updated(quiet_shop: Shop) -> None:
    shop = quiet_shop
    ink = await shop.product()
    placed = await shop.order((ink, 2), note="mine")
    stranger = shop.issuer.user(ids.new("usr"))
    for order_id, token in ((placed.order_id, stranger), (ids.new("ord"), "")):
        await assert_refused(update(shop, order_id, note="x", token=token), "ORDER_NOT_FOUND", order_id=order_id)
    await assert_refused(
        update(shop, placed.order_id, "total"), "REQUEST_INVALID", violations={"update_mask": "must name only note"}
    )
    await shop.cancel(placed.order_id)
    await assert_refused(
        update(shop, placed.order_id, note="x"), "ORDER_NOT_UPDATABLE", order_id=placed.order_id, state="CANCELLED"
    )
    assert (await shop.get(placed.order_id)).note == "mine"


async def test_an_order_of_which_a_unit_has_left_is_not_updated(shop: Shop) -> None:
    placed = await shop.order((await shop.product(), 2))
    await shop.reaches(placed.order_id, pb.ORDER_STATE_CONFIRMED, pb.PAYMENT_STATE_CAPTURED)
    lines = [fulfilment_pb2.FulfilmentLineInput(product_id=placed.lines[0].product_id, quantity=1)]
    request = fulfilment_pb2.ShipOrderRequest(order_id=placed.order_id, lines=lines)
    await shop.orders.ShipOrder(request, metadata=metadata(shop.operator, ids.new("key")))
    await assert_refused(update(shop, placed.order_id, note="x"), "ORDER_ALREADY_SHIPPED", order_id=placed.order_id)


BEFORE = Query("UPDATE orders SET customer_id = %(pseudonym)s, note = '' WHERE customer_id = %(user_id)s")
"""How a release without addresses and metadata erases."""


@pytest.mark.parametrize("when", ["before", "under way", "by the release before"])
async def test_an_erased_customer_leaves_nothing_that_was_said(quiet_shop: Shop, when: str) -> None:
    shop = quiet_shop
    where = ShippingAddress(recipient="Ada", lines=["1 St James's Square"], locality="London", region_code="GB")
    placed = await shop.order((await shop.product(), 1), note="by Ada", shipping_address=where)
    customers, pseudonym = CustomerRepository(shop.database), ids.new("usr")
    if when == "under way":
        assert await customers.erase(shop.user_id, pseudonym)
        # As a call that had read the order before: its actor is the customer that was.
        own = shop.issuer.operator(shop.user_id, "orders.write orders.read")
        assert not (await shop.get(placed.order_id, shop.operator)).HasField("shipping_address")
        row = Query("UPDATE orders SET shipping_address_sealed = %(sealed)s WHERE order_id = %(order_id)s")
        sealed = shop.app.vault.seal(where.SerializeToString(), ADDRESS_CONTEXT)
        await shop.database.run(row, sealed=sealed, order_id=placed.order_id)
        await update(shop, placed.order_id, note="by Ada", metadata={"name": "Ada"}, token=own)
    else:
        await update(shop, placed.order_id, metadata={"name": "Ada"})
    if when == "by the release before":
        await shop.database.run(BEFORE, pseudonym=pseudonym, user_id=shop.user_id)
    assert await customers.erase(shop.user_id, pseudonym)
    found = await shop.get(placed.order_id, shop.operator)
    assert (found.customer_id, found.note, {**found.metadata}) == (pseudonym, "", {})
    assert not found.HasField("shipping_address")
