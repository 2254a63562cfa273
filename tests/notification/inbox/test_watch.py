"""The stream of an inbox: its new items and how many are unread, resumed where it was broken off."""

import asyncio
from typing import Any

from weft.notification.v1 import inbox_service_pb2 as pb

from chassis import ids
from chassis.storage.database import Query
from tests.harness import assert_refused
from tests.notification import sample_events as events
from tests.notification.conftest import Service


async def read(call: Any) -> pb.WatchInboxResponse:
    return await asyncio.wait_for(call.read(), 10)


async def test_an_inbox_is_watched_as_it_fills(service: Service) -> None:
    ann, bob = ids.new("usr"), ids.new("usr")
    service.users.add(ann)

    def watch(user: str, cursor: str = "", **more: Any) -> Any:
        return service.inbox.WatchInbox(pb.WatchInboxRequest(cursor=cursor), metadata=service.as_user(user), **more)

    await service.publish(events.placed(ann))
    await service.wait_until_idle()
    call = watch(ann)
    begun = await read(call)
    assert (begun.unread_count, begun.HasField("item")) == (1, False)

    # What commits late is not lost, though what was numbered after it has been shown meanwhile.
    other = Query("UPDATE notifications SET shown_xid = pg_current_xact_id() WHERE user_id = %(user)s")
    order = ids.new("ord")
    async with service.app.database.transaction() as tx:
        await tx.run(other, user=ann)
        await service.publish(events.placed(bob), events.placed(ann, order))
        await service.wait_until_idle()
    seen = [await read(call), await read(call)]
    assert {message.item.subject_id == order for message in seen} == {True, False}
    assert [message.unread_count for message in seen] == [2, 2]

    everything = [message.item.notification_id for message in seen]
    await service.inbox.MarkRead(pb.MarkReadRequest(notification_ids=everything), metadata=service.as_user(ann))
    assert (await read(call)).unread_count == 0

    # From the first cursor everything comes again, from the last one nothing; each is its reader's own.
    again = watch(ann, begun.cursor)
    assert [(await read(again)).item.notification_id for _ in range(2)] == everything
    rest = watch(ann, seen[1].cursor)
    assert not (await read(rest)).HasField("item")
    await assert_refused(watch(bob, begun.cursor).read(), "CURSOR_INVALID")
    ends = watch(ann, timeout=2.0)
    last, closing = await read(ends), await read(ends)
    assert "resume from its last cursor" in closing.error.message
    assert closing.cursor == last.cursor != ""
    for each in (call, again, rest):
        each.cancel()
