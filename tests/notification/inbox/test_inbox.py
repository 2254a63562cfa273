"""The inbox over a real socket: pages, counting, marking, and nobody's but the caller's own."""

import time
from datetime import timedelta

import pytest
from weft.notification.v1.inbox_service_pb2 import CountUnreadRequest, ListInboxRequest, MarkReadRequest

from chassis import ids
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service, Start

ANN, BOB = ids.new("usr"), ids.new("usr")


async def fill(service: Service, user_id: str, count: int) -> list[str]:
    """Give a user notifications of `count` orders, a second apart; the order ids, newest first."""
    now = service.app.clock.now()
    orders = [ids.new("ord") for _ in range(count)]
    await service.publish(
        *(events.placed(user_id, order, occurred=now - timedelta(seconds=age)) for age, order in enumerate(orders))
    )
    await service.wait_until_idle()
    return orders


async def test_a_notification_is_listed_with_its_words_and_what_it_is_about(service: Service) -> None:
    event = events.placed(ANN, "ord_1")
    await service.publish(event)
    await service.wait_until_idle()
    (item,) = (await service.inbox.ListInbox(ListInboxRequest(), metadata=service.as_user(ANN))).items
    assert item.notification_id.startswith("ntf_")
    assert (item.type, item.subject_id, item.title) == ("order.placed", "ord_1", "Order received")
    assert item.body == "Order ord_1 for 42.00 EUR is received; the payment is under way."
    assert item.create_time == event.occur_time
    assert not item.HasField("read_time")


async def test_a_notification_is_read_in_the_language_that_is_asked_for(service: Service) -> None:
    await service.publish(events.placed(ANN, "ord_1"))
    await service.wait_until_idle()
    for wanted, title in [
        ("de-AT, en;q=0.5", "Bestellung eingegangen"),
        ("DE", "Bestellung eingegangen"),
        ("nl, de;q=0.9", "Bestellung eingegangen"),
        ("en;q=0.1, de;q=0.2", "Bestellung eingegangen"),
        ("en;q=0, *", "Bestellung eingegangen"),
        ("fr", "Order received"),
        ("*, de;q=0.5", "Order received"),
        ("", "Order received"),
    ]:
        metadata = [*service.as_user(ANN), ("accept-language", wanted)]
        reply = await service.inbox.ListInbox(ListInboxRequest(), metadata=metadata)
        assert [item.title for item in reply.items] == [title]


async def test_an_accept_language_of_15_kb_costs_next_to_nothing(service: Service) -> None:
    await fill(service, ANN, 50)
    for header in ("en" + "-aa" * 4_800, ",".join(f"x{n}" for n in range(2_500)), "de;q=0." + "1" * 14_000):
        metadata = [*service.as_user(ANN), ("accept-language", header)]
        started = time.process_time()
        reply = await service.inbox.ListInbox(ListInboxRequest(), metadata=metadata)
        assert time.process_time() - started < 0.5
        assert len(reply.items) == 50


async def test_pages_go_from_the_newest_to_the_oldest_and_miss_nothing(service: Service) -> None:
    orders = await fill(service, ANN, 7)
    await fill(service, BOB, 3)
    found, token = [], ""
    sizes = []
    while True:
        request = ListInboxRequest(page_size=3, page_token=token)
        reply = await service.inbox.ListInbox(request, metadata=service.as_user(ANN))
        found += [item.subject_id for item in reply.items]
        sizes.append(len(reply.items))
        if not (token := reply.next_page_token):
            break
    assert found == orders
    assert sizes == [3, 3, 1]


async def test_a_page_that_ends_with_the_last_notification_is_the_last(service: Service) -> None:
    await fill(service, ANN, 4)
    request = ListInboxRequest(page_size=4)
    reply = await service.inbox.ListInbox(request, metadata=service.as_user(ANN))
    assert (len(reply.items), reply.next_page_token) == (4, "")


async def test_a_page_token_is_good_for_its_own_query_and_caller_alone(service: Service) -> None:
    await fill(service, ANN, 2)
    first = ListInboxRequest(page_size=1)
    token = (await service.inbox.ListInbox(first, metadata=service.as_user(ANN))).next_page_token
    for request, user in [
        (ListInboxRequest(page_size=1, page_token=token, unread_only=True), ANN),
        (ListInboxRequest(page_size=1, page_token=token), BOB),
        (ListInboxRequest(page_size=1, page_token="x" + token), ANN),
        (ListInboxRequest(page_size=1, page_token="invalid"), ANN),
    ]:
        await assert_refused(service.inbox.ListInbox(request, metadata=service.as_user(user)), "PAGE_TOKEN_INVALID")


async def test_what_is_read_is_counted_and_listed_apart(service: Service) -> None:
    orders = await fill(service, ANN, 3)
    metadata = service.as_user(ANN)
    items = (await service.inbox.ListInbox(ListInboxRequest(), metadata=metadata)).items
    request = MarkReadRequest(notification_ids=[items[1].notification_id])
    await service.inbox.MarkRead(request, metadata=metadata)
    assert (await service.inbox.CountUnread(CountUnreadRequest(), metadata=metadata)).count == 2
    unread = (await service.inbox.ListInbox(ListInboxRequest(unread_only=True), metadata=metadata)).items
    assert [item.subject_id for item in unread] == [orders[0], orders[2]]
    every = (await service.inbox.ListInbox(ListInboxRequest(), metadata=metadata)).items
    assert [item.HasField("read_time") for item in every] == [False, True, False]


async def test_marking_again_keeps_the_first_time(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        await fill(service, ANN, 1)
        metadata = service.as_user(ANN)
        times = []
        for _ in range(2):
            (item,) = (await service.inbox.ListInbox(ListInboxRequest(), metadata=metadata)).items
            times.append(item.read_time)
            await service.inbox.MarkRead(MarkReadRequest(notification_ids=[item.notification_id]), metadata=metadata)
            clock.advance(timedelta(minutes=1))
        (item,) = (await service.inbox.ListInbox(ListInboxRequest(), metadata=metadata)).items
        assert item.read_time == times[1]


async def test_another_users_notifications_cannot_be_found_counted_or_marked(service: Service) -> None:
    await fill(service, ANN, 1)
    (item,) = (await service.inbox.ListInbox(ListInboxRequest(), metadata=service.as_user(ANN))).items
    stranger = service.as_user(BOB)
    assert list((await service.inbox.ListInbox(ListInboxRequest(), metadata=stranger)).items) == []
    assert (await service.inbox.CountUnread(CountUnreadRequest(), metadata=stranger)).count == 0
    await service.inbox.MarkRead(MarkReadRequest(notification_ids=[item.notification_id]), metadata=stranger)
    assert (await service.inbox.CountUnread(CountUnreadRequest(), metadata=service.as_user(ANN))).count == 1


async def test_a_notification_that_is_only_mailed_is_not_in_the_inbox(service: Service) -> None:
    service.users.add(ANN)
    await service.publish(events.invited(ANN), events.verified(ANN))
    await service.wait_until_idle()
    items = (await service.inbox.ListInbox(ListInboxRequest(), metadata=service.as_user(ANN))).items
    assert [item.title for item in items] == ["Welcome to Weft"]
    (mailed,) = await service.rows("SELECT notification_id FROM notifications WHERE NOT in_inbox")
    request = MarkReadRequest(notification_ids=[mailed.notification_id])
    await service.inbox.MarkRead(request, metadata=service.as_user(ANN))
    assert [row.read_time for row in await service.rows("SELECT read_time FROM notifications WHERE NOT in_inbox")] == [
        None
    ]


async def test_a_notification_whose_template_is_gone_does_not_hide_the_others(service: Service) -> None:
    await fill(service, ANN, 2)
    await service.rows(
        "UPDATE notifications SET type = 'moon.landed' WHERE notification_id = "
        "(SELECT max(notification_id) FROM notifications) RETURNING 1"
    )
    items = (await service.inbox.ListInbox(ListInboxRequest(), metadata=service.as_user(ANN))).items
    assert [item.title for item in items] == ["moon.landed", "Order received"]


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("ListInbox", ListInboxRequest()),
        ("CountUnread", CountUnreadRequest()),
        ("MarkRead", MarkReadRequest(notification_ids=[ids.new("ntf")])),
    ],
)
async def test_only_signed_in_users_with_the_scope_have_an_inbox(service: Service, call: str, request_) -> None:
    issuer = service.harness.issuer
    for token, reason in [
        (None, "TOKEN_MISSING"),
        (issuer.user(ANN, "orders.read"), "SCOPE_MISSING"),
        (issuer.partner(ids.new("prt"), "inbox.read"), "CALLER_NOT_ALLOWED"),
    ]:
        outside = service.harness.channel("notification", service.running.address, identity="edge")
        metadata = [("authorization", token)] if token else []
        path = f"/weft.notification.v1.InboxService/{call}"
        ask = outside.unary_unary(path, type(request_).SerializeToString, lambda reply: reply)
        await assert_refused(ask(request_, metadata=metadata), reason)
        await outside.close()


@pytest.mark.parametrize(
    ("call", "request_", "field"),
    [
        ("ListInbox", ListInboxRequest(page_size=-1), "page_size"),
        ("ListInbox", ListInboxRequest(page_token="x" * 1001), "page_token"),
        ("MarkRead", MarkReadRequest(), "notification_ids"),
        ("MarkRead", MarkReadRequest(notification_ids=["ord_1"]), "notification_ids[0]"),
    ],
)
async def test_requests_have_bounds(service: Service, call: str, request_, field: str) -> None:
    refusable = getattr(service.inbox, call)(request_, metadata=service.as_user(ANN))
    await assert_refused(refusable, "REQUEST_INVALID", violations={field: ""})


async def test_a_year_later_notifications_are_gone_with_their_deliveries_and_attempts(start: Start, clock) -> None:
    async with start(clock=clock) as service:
        service.users.add(ANN)
        await service.publish(events.confirmed(ANN, "ord_old", occurred=clock.now()))
        await service.wait_until_idle()
        clock.advance(timedelta(days=364))
        await service.publish(events.confirmed(ANN, "ord_new", occurred=clock.now()))
        await service.wait_until_idle()
        sweep = next(job for _, job, name in service.app._jobs if name == "retention")
        assert "notifications" not in await sweep()
        clock.advance(timedelta(days=2))
        assert (await sweep())["notifications"] == 1
        assert [row.subject_id for row in await service.rows("SELECT subject_id FROM notifications")] == ["ord_new"]
        assert len(await service.rows("SELECT 1 FROM deliveries")) == 1
        assert len(await service.rows("SELECT 1 FROM attempts")) == 1
