"""The RPCs of SuppressionService, for operators."""

from typing import Any

from google.protobuf import empty_pb2
from weft.notification.v1 import category_pb2
from weft.notification.v1 import suppression_service_pb2 as pb

from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.storage.database import Row
from chassis.times import timestamp
from services.notification.suppressions.domain import SuppressionNotFound
from services.notification.suppressions.repository import SuppressionRepository


class SuppressionHandlers:
    """weft.notification.v1.SuppressionService."""

    def __init__(self, suppressions: SuppressionRepository, pages: Pages) -> None:
        self._suppressions = suppressions
        self._pages = pages

    async def ListSuppressions(self, request: pb.ListSuppressionsRequest, _: Call) -> pb.ListSuppressionsResponse:
        """Newest first."""
        filters = _filters(request)
        page = self._pages.read(request, {"list": "suppressions", **filters})
        rows = await self._suppressions.list(page.limit, page.after, filters)
        suppressions, token = self._pages.split(page, rows, to_message, key="suppression_id")
        return pb.ListSuppressionsResponse(suppressions=suppressions, next_page_token=token)

    async def RemoveSuppression(self, request: pb.RemoveSuppressionRequest, _: Call) -> empty_pb2.Empty:
        """One that was removed before is not found."""
        if not await self._suppressions.delete(request.suppression_id):
            raise SuppressionNotFound(suppression_id=request.suppression_id)
        return empty_pb2.Empty()


def _filters(request: pb.ListSuppressionsRequest) -> dict[str, Any]:
    """The filters of `SuppressionRepository.list` that a request sets."""
    filters: dict[str, Any] = {}
    if request.channel:
        filters["channel"] = category_pb2.Channel.Name(request.channel).removeprefix("CHANNEL_")
    if request.reason:
        filters["reason"] = pb.SuppressionReason.Name(request.reason).removeprefix("SUPPRESSION_REASON_")
    if request.address:
        filters["address"] = request.address
    return filters


def to_message(row: Row) -> pb.Suppression:
    return pb.Suppression(
        suppression_id=row.suppression_id,
        channel=category_pb2.Channel.Value(f"CHANNEL_{row.channel}"),
        reason=pb.SuppressionReason.Value(f"SUPPRESSION_REASON_{row.reason}"),
        delivery_id=row.delivery_id,
        create_time=timestamp(row.created_at),
    )
