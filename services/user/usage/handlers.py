"""The RPCs of UsageService and PartnerService on usage."""

from datetime import timedelta
from typing import Any

from weft.user.v1 import usage_pb2 as pb

from chassis import times
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.security import modes
from chassis.storage.database import Row
from chassis.telemetry.usage import Counted, Report
from contract import Contract
from services.user import ownership
from services.user.partners.domain import PartnerNotFound
from services.user.partners.repository import PartnerRepository
from services.user.usage.repository import UsageRepository


class UsageHandlers:
    """weft.user.v1.UsageService, and GetUsage of PartnerService."""

    def __init__(self, partners: PartnerRepository, usage: UsageRepository, pages: Pages, contract: Contract) -> None:
        self._partners = partners
        self._usage = usage
        self._pages = pages
        self._routes = {
            method.full_name: f"{method.route.verb} {method.route.path}" for method in contract.methods if method.route
        }

    async def ReportUsage(self, request: pb.ReportUsageRequest, _: Call) -> pb.ReportUsageResponse:
        """Of the other services, about once a minute each."""
        rows = [
            (Counted(c.day, c.partner_id, c.client_id, modes.of_message(c.mode), c.method, c.outcome), c.calls)
            for c in request.counted
        ]
        await self._usage.add(Report(request.report_id, rows))
        return pb.ReportUsageResponse()

    async def GetUsage(self, request: pb.GetUsageRequest, call: Call) -> pb.GetUsageResponse:
        """A client sees its own mode; people and operators see both."""
        partner_id = request.partner_id
        allowed = ownership.may_manage_partner(call.caller, partner_id)
        if not allowed or await self._partners.get(partner_id) is None:
            raise PartnerNotFound(partner_id=partner_id)
        owner, filters = ownership.client_owner_of(call.caller, partner_id), _filters(request)
        page = self._pages.read(request, {"list": "usage", "owner": owner, **filters})
        found = await self._usage.list(owner, page.limit, page.after, filters)
        rows, token = self._pages.split(page, found, self._to_message, key="usage_key")
        return pb.GetUsageResponse(usage=rows, next_page_token=token)

    def _to_message(self, row: Row) -> pb.UsageRow:
        return pb.UsageRow(
            day=row.usage_key[:10],
            client_id=row.client_id,
            mode=modes.to_message(row.mode),
            method=row.method,
            route=self._routes.get(row.method, ""),
            status=row.outcome,
            calls=row.calls,
        )


def _filters(request: pb.GetUsageRequest) -> dict[str, Any]:
    """The filters of `UsageRepository.list` that a request sets."""
    filters: dict[str, Any] = {}
    if request.HasField("start_time"):
        filters["first_day"] = f"{times.clamped(request.start_time):%Y-%m-%d}"
    if request.HasField("end_time"):
        end = times.clamped(request.end_time)
        whole = end.replace(hour=0, minute=0, second=0, microsecond=0)
        filters["end_day"] = f"{whole + timedelta(days=1) if end > whole else whole:%Y-%m-%d}"
    return filters
