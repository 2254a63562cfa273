"""The RPC that exports orders: pages of the list, one after the other, as one file."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

from google.api.httpbody_pb2 import HttpBody
from weft.order.v1 import export_pb2 as pb

from chassis.errors import InternalFault, ServiceUnavailable, WeftError
from chassis.rpc import load_faults
from chassis.rpc.call import Call
from chassis.rpc.pagination import NEWEST
from services.order import messages
from services.order.exports.formats import Csv, Ndjson
from services.order.order_rows import is_cut
from services.order.orders.handlers import filters_of
from services.order.orders.repository import MAX_LIST_BYTES, OrderRepository
from services.order.ownership import owner_of

PAGE_SIZE = 200
"""Orders in one read: all that an export holds at a time."""
ORDERS_PER_MESSAGE = 20
"""Written without a pause, which takes a few milliseconds; other calls run in between."""
MAX_CONCURRENT_READS = 2
"""Of the exports of a process: many together must not use up the connection pool."""
_CLOSING_TIME_S = 0.5
"""Before the deadline, for the last line."""
_FORMATS: dict[int, Ndjson | Csv] = {
    pb.EXPORT_FORMAT_UNSPECIFIED: Ndjson(),
    pb.EXPORT_FORMAT_NDJSON: Ndjson(),
    pb.EXPORT_FORMAT_CSV: Csv(),
}


class ExportHandlers:
    """The part of weft.order.v1.OrderService that writes files."""

    def __init__(self, orders: OrderRepository) -> None:
        self._orders = orders
        self._readers = asyncio.Semaphore(MAX_CONCURRENT_READS)
        self._stopping = False

    async def stop(self) -> None:
        """End the exports, each with a last line that says so."""
        self._stopping = True

    async def ExportOrders(self, request: pb.ExportOrdersRequest, call: Call) -> AsyncIterator[HttpBody]:
        """The next page is read when the caller has taken the one before. The last line says
        whether it is whole, because an HTTP status cannot follow a body."""
        left = call.remaining()
        end = time.monotonic() + left - min(_CLOSING_TIME_S, left / 4)
        form = _FORMATS[request.format]
        owner, filters, after = owner_of(call.caller), filters_of(request, call), request.after_order_id or NEWEST
        # Also of an export without orders: its type is known.
        yield HttpBody(content_type=form.content_type, data=form.header())
        count = 0
        try:
            more = True
            while more:
                if self._stopping or time.monotonic() >= end:
                    raise ServiceUnavailable(retry_after=timedelta())
                async with self._readers:
                    rows = await self._orders.list(owner, PAGE_SIZE, after, filters)
                more = len(rows) == PAGE_SIZE or is_cut(rows, MAX_LIST_BYTES)
                for start in range(0, len(rows), ORDERS_PER_MESSAGE):
                    part = rows[start : start + ORDERS_PER_MESSAGE]
                    after = part[-1].order_id
                    count += len(part)
                    yield HttpBody(data=form.orders(messages.to_message(row) for row in part))
        except Exception as error:
            known = error if isinstance(error, WeftError) else load_faults.passing(error)
            yield HttpBody(data=form.error((known or InternalFault()).status(call.request_id)))
            raise
        yield HttpBody(data=form.end(count))
