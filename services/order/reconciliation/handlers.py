"""The RPC of differences."""

from weft.order.v1 import payment_pb2
from weft.order.v1 import payment_service_pb2 as pb

from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.storage.database import Row
from chassis.times import timestamp
from services.order.reconciliation.repository import ReconciliationRepository

_KINDS = {name.removeprefix("DISCREPANCY_KIND_"): number for name, number in payment_pb2.DiscrepancyKind.items()}


class ReconciliationHandlers:
    """The part of weft.order.v1.PaymentService that tells where books differ."""

    def __init__(self, repository: ReconciliationRepository, pages: Pages) -> None:
        self._repository = repository
        self._pages = pages

    async def ListDiscrepancies(self, request: pb.ListDiscrepanciesRequest, _: Call) -> pb.ListDiscrepanciesResponse:
        filters = {} if request.include_resolved else {"open": True}
        page = self._pages.read(request, {"list": "discrepancies", **filters})
        rows = await self._repository.list(page.limit, page.after, filters)
        found, token = self._pages.split(page, rows, to_message, key="discrepancy_id")
        return pb.ListDiscrepanciesResponse(discrepancies=found, next_page_token=token)


def to_message(row: Row) -> payment_pb2.Discrepancy:
    """From a row of `ReconciliationRepository`; amounts are in the smallest unit of the currency."""
    return payment_pb2.Discrepancy(
        discrepancy_id=row.discrepancy_id,
        payment_id=row.payment_id,
        kind=_KINDS[row.kind],
        ours_minor=row.ours_minor,
        theirs_minor=row.theirs_minor,
        currency=row.currency,
        provider_reference=row.provider_reference,
        create_time=timestamp(row.created_at),
        resolve_time=timestamp(row.resolved_at),
    )
