"""WatchOrders: the caller's orders as they change, from a cursor on."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

from google.rpc.status_pb2 import Status
from weft.order.v1.order_service_pb2 import WatchOrdersResponse

from chassis.clock import Clock
from chassis.errors import InternalFault, ServiceUnavailable, WeftError
from chassis.rpc import load_faults
from chassis.rpc.call import Call
from chassis.telemetry.logs import logger
from services.order import messages
from services.order.domain.order import CursorInvalid
from services.order.feed.cursor import Cursors, Position, behind
from services.order.feed.feed import Feed, Owner

log = logger("watching")
HEARTBEAT = 15.0
"""Seconds of silence before a sign of life."""
_LAST_WORD = 0.5
"""Seconds before the deadline at which a stream takes its leave."""


class Watching:
    """Streams from the feed."""

    def __init__(self, feed: Feed, cursors: Cursors, clock: Clock, heartbeat: float) -> None:
        self._feed = feed
        self._cursors = cursors
        self._clock = clock
        self._heartbeat = heartbeat

    async def stream(self, cursor: str, owner: Owner, call: Call) -> AsyncIterator[WatchOrdersResponse]:
        """Changes until the deadline or the process's end, which the last message tells. Raises `CursorInvalid`."""
        left = call.remaining()
        end = time.monotonic() + left - min(_LAST_WORD, left / 4)
        position = self._cursors.read(cursor, owner) if cursor else await self._feed.now()
        if cursor and not await self._feed.knows(position):  # of a database that was since put back to an earlier time
            raise CursorInvalid()
        try:
            async for message in self._follow(position, owner, end):
                yield message
            yield WatchOrdersResponse(error=_leave(call))
        except WeftError as error:
            yield WatchOrdersResponse(error=error.status(call.request_id))
        except Exception as error:
            passing = load_faults.passing(error)
            if passing is None:
                log.exception("stream_failed")
            yield WatchOrdersResponse(error=(passing or InternalFault()).status(call.request_id))

    async def _follow(self, position: Position, owner: Owner, end: float) -> AsyncIterator[WatchOrdersResponse]:
        feed = self._feed
        with feed.watch(owner) as watcher:
            yield self._sign_of_life(position, owner)
            beat = time.monotonic() + self._heartbeat
            while not feed.stopping and time.monotonic() < end:
                watcher.sleep_again()
                head = feed.head  # before reading: what is read now reaches at least this far
                rows, more = await feed.read(owner, position)
                for row in rows:
                    position = behind(row.xid, row.seq, row.updated_at)
                    yield WatchOrdersResponse(cursor=self._cursors.write(position, owner), order=messages.order(row))
                if more:
                    continue
                position = max(position, head or position)
                if rows:
                    beat = time.monotonic() + self._heartbeat
                elif time.monotonic() >= beat:
                    yield self._sign_of_life(position, owner)
                    beat = time.monotonic() + self._heartbeat
                if not feed.stopping:
                    await watcher.wait(min(beat, end) - time.monotonic())

    def _sign_of_life(self, position: Position, owner: Owner) -> WatchOrdersResponse:
        time = messages.timestamp(self._clock.now())
        return WatchOrdersResponse(
            cursor=self._cursors.write(position, owner), heartbeat=WatchOrdersResponse.Heartbeat(time=time)
        )


def _leave(call: Call) -> Status:
    """`UNAVAILABLE` with a sentence of its own: nothing is wrong."""
    status = ServiceUnavailable(retry_after=timedelta()).status(call.request_id)
    status.message = "The stream ends here; resume from its last cursor."
    return status
