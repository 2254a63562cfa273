"""The streams of WatchInbox: new items of the caller's inbox, and how many items are unread."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from weft.notification.v1 import inbox_pb2
from weft.notification.v1 import inbox_service_pb2 as pb

from chassis.errors import InternalFault, InvalidArgument, ServiceUnavailable, WeftError
from chassis.rpc import load_faults
from chassis.rpc.call import Call
from chassis.security.signed_token import SignedToken
from chassis.telemetry.logs import logger
from services.notification.inbox.feed import InboxFeed, Position
from services.notification.inbox.repository import InboxItem

log = logger("inbox")
HEARTBEAT_INTERVAL_S = 15.0
_CLOSING_TIME_S = 0.5
"""Before the deadline, for the last message of a stream."""
Render = Callable[[InboxItem], Awaitable[inbox_pb2.InboxItem]]


class CursorInvalid(InvalidArgument):
    """The cursor is not one of this inbox's stream."""


class InboxStreams:
    def __init__(self, feed: InboxFeed, key: bytes) -> None:
        self._feed = feed
        self._tokens = SignedToken(key)

    async def open(self, cursor: str, call: Call, render: Render) -> AsyncIterator[pb.WatchInboxResponse]:
        """Until the deadline or the end of the process; the last message says why it ends. Raises `CursorInvalid`."""
        left, user_id = call.remaining(), call.caller.user_id
        end = time.monotonic() + left - min(_CLOSING_TIME_S, left / 4)
        position = self._read(cursor, user_id) if cursor else await self._feed.now()
        last = self._write(position, user_id)
        try:
            async for message in self._follow(position, user_id, end, render):
                last = message.cursor
                yield message
            closing = ServiceUnavailable(retry_after=timedelta()).status(call.request_id)
            closing.message = "The stream ends here; resume from its last cursor."
            yield pb.WatchInboxResponse(cursor=last, error=closing)
        except WeftError as error:
            yield pb.WatchInboxResponse(cursor=last, error=error.status(call.request_id))
        except Exception as error:
            passing = load_faults.passing(error)
            if passing is None:
                log.exception("stream_failed")
            status = (passing or InternalFault()).status(call.request_id)
            yield pb.WatchInboxResponse(cursor=last, error=status)

    async def _follow(
        self, position: Position, user_id: str, end: float, render: Render
    ) -> AsyncIterator[pb.WatchInboxResponse]:
        """The first message, and each heartbeat, has the count alone."""
        said, due = -1, 0.0
        with self._feed.watch(user_id) as watcher:
            while not self._feed.stopping and time.monotonic() < end:
                watcher.reset()
                items, unread = await self._feed.read(user_id, position)
                for item in items:
                    position = Position(item.shown_xid, item.notification_id)
                    made = await render(item)
                    yield pb.WatchInboxResponse(cursor=self._write(position, user_id), unread_count=unread, item=made)
                if items or unread != said or time.monotonic() >= due:
                    if not items:
                        yield pb.WatchInboxResponse(cursor=self._write(position, user_id), unread_count=unread)
                    said, due = unread, time.monotonic() + HEARTBEAT_INTERVAL_S
                if not items:
                    await watcher.wait(min(due, end) - time.monotonic())

    def _write(self, position: Position, user_id: str) -> str:
        return self._tokens.write(f"{position.xid} {position.notification_id}".encode(), user_id.encode())

    def _read(self, cursor: str, user_id: str) -> Position:
        try:
            xid, notification_id = self._tokens.read(cursor, user_id.encode()).decode().split(" ")
        except ValueError:
            raise CursorInvalid from None
        return Position(int(xid), notification_id)
