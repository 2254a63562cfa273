"""The streams of WatchOrders: the caller's orders as they change, from a cursor."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

from google.rpc.status_pb2 import Status
from weft.order.v1 import order_service_pb2 as pb

from chassis.clock import Clock
from chassis.errors import InternalFault, ServiceUnavailable, WeftError
from chassis.rpc import load_faults
from chassis.rpc.call import Call
from chassis.telemetry.logs import logger
from chassis.times import timestamp
from services.order import messages
from services.order.domain.refusals import CursorInvalid
from services.order.feed.cursor import Cursors, Position, after
from services.order.feed.feed import Feed
from services.order.ownership import Owner

log = logger("watching")
HEARTBEAT_INTERVAL_S = 15.0
"""Without a change."""
_CLOSING_TIME_S = 0.5
"""Before the deadline, for the last message of a stream."""


class OrderStreams:
    def __init__(self, feed: Feed, cursors: Cursors, clock: Clock, heartbeat_interval: float) -> None:
        self._feed = feed
        self._cursors = cursors
        self._clock = clock
        self._heartbeat_interval = heartbeat_interval

    async def open(self, cursor: str, owner: Owner, call: Call) -> AsyncIterator[pb.WatchOrdersResponse]:
        """Changes until the deadline or the end of the process; the last message says why it ends. Raises `CursorInvalid`."""
        left = call.remaining()
        end = time.monotonic() + left - min(_CLOSING_TIME_S, left / 4)
        position = self._cursors.read(cursor, owner) if cursor else await self._feed.now()
        if cursor and not await self._feed.has(position):  # the database was restored to an earlier time
            raise CursorInvalid()
        last = self._cursors.write(position, owner)
        try:
            async for message in self._follow(position, owner, end):
                last = message.cursor
                yield message
            yield pb.WatchOrdersResponse(cursor=last, error=_closing_status(call))
        except WeftError as error:
            yield pb.WatchOrdersResponse(cursor=last, error=error.status(call.request_id))
        except Exception as error:
            passing = load_faults.passing(error)
            if passing is None:
                log.exception("stream_failed")
            status = (passing or InternalFault()).status(call.request_id)
            yield pb.WatchOrdersResponse(cursor=last, error=status)

    async def _follow(self, position: Position, owner: Owner, end: float) -> AsyncIterator[pb.WatchOrdersResponse]:
        feed = self._feed
        with feed.watch(owner) as watcher:
            yield self._heartbeat(position, owner)
            heartbeat_at = time.monotonic() + self._heartbeat_interval
            while not feed.stopping and time.monotonic() < end:
                watcher.reset()
                head = feed.head  # before reading: what is read now reaches at least this far
                rows, more = await feed.read(owner, position)
                for row in rows:
                    position = after(row.xid, row.seq, row.updated_at)
                    yield pb.WatchOrdersResponse(
                        cursor=self._cursors.write(position, owner), order=messages.to_message(row)
                    )
                if more:
                    continue
                position = max(position, head or position)
                if rows:
                    heartbeat_at = time.monotonic() + self._heartbeat_interval
                elif time.monotonic() >= heartbeat_at:
                    yield self._heartbeat(position, owner)
                    heartbeat_at = time.monotonic() + self._heartbeat_interval
                if not feed.stopping:
                    await watcher.wait(min(heartbeat_at, end) - time.monotonic())

    def _heartbeat(self, position: Position, owner: Owner) -> pb.WatchOrdersResponse:
        time = timestamp(self._clock.now())
        return pb.WatchOrdersResponse(
            cursor=self._cursors.write(position, owner), heartbeat=pb.WatchOrdersResponse.Heartbeat(time=time)
        )


def _closing_status(call: Call) -> Status:
    """`UNAVAILABLE` with its own message: nothing failed."""
    status = ServiceUnavailable(retry_after=timedelta()).status(call.request_id)
    status.message = "The stream ends here; resume from its last cursor."
    return status
