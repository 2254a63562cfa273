"""The RPCs of PartnerService."""

from collections.abc import Callable, Collection

from weft.api.v1 import plan_pb2
from weft.api.v1.event_pb2 import Event
from weft.user.v1 import partner_pb2
from weft.user.v1 import partner_service_pb2 as pb
from weft.user.v1.partner_events_pb2 import PartnerReinstated, PartnerSuspended

from chassis import ids
from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.queues import outbox
from chassis.queues.outbox import Outbox
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.storage.database import Database
from chassis.times import timestamp
from services.user import ownership
from services.user.audit.audit import Audit
from services.user.audit.domain import changed_fields
from services.user.partners.domain import (
    ACTIVE,
    SUSPENDED,
    Partner,
    PartnerNotFound,
    unknown_scopes,
)
from services.user.partners.repository import PartnerRepository
from services.user.revocations.repository import RevocationRepository


class PartnerHandlers:
    """weft.user.v1.PartnerService. `scopes` are those that partners may have."""

    def __init__(
        self,
        database: Database,
        partners: PartnerRepository,
        revocations: RevocationRepository,
        pages: Pages,
        audit: Audit,
        clock: Clock,
        scopes: Collection[str],
        events: Outbox,
    ) -> None:
        self._database = database
        self._partners = partners
        self._revocations = revocations
        self._pages = pages
        self._audit = audit
        self._clock = clock
        self._scopes = frozenset(scopes)
        self._events = events

    async def CreatePartner(self, request: pb.CreatePartnerRequest, call: Call) -> partner_pb2.Partner:
        """The partner is active immediately, and has no clients yet."""
        self._refuse_unknown(request.scopes, "scopes")
        now = self._clock.now()
        partner = Partner(
            partner_id=ids.new("prt", now),
            display_name=request.display_name,
            plan=_plan_name(request.plan),
            scopes=tuple(sorted(request.scopes)),
            state=ACTIVE,
            created_at=now,
            updated_at=now,
        )
        reply = to_message(partner)
        async with self._database.transaction() as tx:
            await self._partners.insert(tx, partner)
            await self._audit.record(tx, call, "partner.created", subject=partner.partner_id)
            await call.remember(tx, reply)
        return reply

    async def GetPartner(self, request: pb.GetPartnerRequest, call: Call) -> partner_pb2.Partner:
        """One partner, for operators and for its people."""
        allowed = ownership.may_manage_partner(call.caller, request.partner_id)
        partner = await self._partners.get(request.partner_id) if allowed else None
        if partner is None:
            raise PartnerNotFound(partner_id=request.partner_id)
        return to_message(partner)

    async def ListPartners(self, request: pb.ListPartnersRequest, _: Call) -> pb.ListPartnersResponse:
        """All partners, newest first."""
        page = self._pages.read(request, {"list": "partners"})
        found = await self._partners.list(page.limit, page.after)
        partners, token = self._pages.split(page, found, to_message, key="partner_id")
        return pb.ListPartnersResponse(partners=partners, next_page_token=token)

    async def UpdatePartner(self, request: pb.UpdatePartnerRequest, call: Call) -> partner_pb2.Partner:
        """Updates the fields of the mask, or those that are set. Where a scope is lost, the tokens that may have it are revoked."""
        changes = self._changes(request)
        now, etag = self._clock.now(), request.partner.etag
        return await self._change(
            request.partner.partner_id, call, "partner.updated", lambda p: p.update(now, etag, changes)
        )

    async def SuspendPartner(self, request: pb.SuspendPartnerRequest, call: Call) -> partner_pb2.Partner:
        """The partner's clients get no more tokens, and those that they have are revoked."""
        now = self._clock.now()
        return await self._change(request.partner_id, call, "partner.suspended", lambda p: p.suspend(now))

    async def ReinstatePartner(self, request: pb.ReinstatePartnerRequest, call: Call) -> partner_pb2.Partner:
        """The partner's clients get tokens again."""
        now = self._clock.now()
        return await self._change(request.partner_id, call, "partner.reinstated", lambda p: p.reinstate(now))

    async def _change(
        self, partner_id: str, call: Call, action: str, change: Callable[[Partner], Partner]
    ) -> partner_pb2.Partner:
        async with self._database.transaction() as tx:
            partner = await self._partners.lock(tx, partner_id)
            if partner is None:
                raise PartnerNotFound(partner_id=partner_id)
            changed = change(partner)
            if changed is not partner:
                await self._partners.update(tx, changed)
                fields = changed_fields(partner, changed)
                await self._audit.record(tx, call, action, subject=partner_id, fields=fields)
            if changed.state != partner.state:
                await self._events.put(tx, self._event(changed, call))
            if changed.withdraws(partner):
                await self._revocations.revoke(tx, "partner", partner_id)
            reply = to_message(changed)
            await call.remember(tx, reply)
        return reply

    def _event(self, partner: Partner, call: Call) -> Event:
        named = {SUSPENDED: ("partner.suspended", PartnerSuspended), ACTIVE: ("partner.reinstated", PartnerReinstated)}
        kind, payload = named[partner.state]
        return outbox.event(
            self._clock,
            type=kind,
            aggregate_id=partner.partner_id,
            sequence=partner.revision,
            payload=payload(partner_id=partner.partner_id),
            actor=call.caller.actor,
            partner_id=partner.partner_id,
        )

    def _changes(self, request: pb.UpdatePartnerRequest) -> dict[str, object]:
        """What an update changes, by the names of `Partner`. Raises `RequestInvalid`."""
        fields, partner = masks.fields(request, "partner"), request.partner
        changes: dict[str, object] = {name: getattr(partner, name) for name in fields & {"display_name"}}
        if "plan" in fields:
            changes["plan"] = _plan_name(partner.plan)
        if "scopes" in fields:
            self._refuse_unknown(partner.scopes, "partner.scopes")
            changes["scopes"] = tuple(sorted(partner.scopes))
        return changes

    def _refuse_unknown(self, scopes: Collection[str], field: str) -> None:
        unknown = unknown_scopes(scopes, self._scopes)
        if unknown:
            raise RequestInvalid(
                violations=[
                    (f"{field}[{place}]", f"partners cannot hold the scope {scope}") for place, scope in unknown
                ]
            )


def to_message(partner: Partner) -> partner_pb2.Partner:
    """Without its clients and people, which have lists of their own."""
    return partner_pb2.Partner(
        partner_id=partner.partner_id,
        display_name=partner.display_name,
        plan=plan_pb2.Plan.Value(f"PLAN_{partner.plan.upper()}"),
        scopes=partner.scopes,
        state=partner_pb2.PartnerState.Value(f"PARTNER_STATE_{partner.state}"),
        etag=partner.etag,
        create_time=timestamp(partner.created_at),
        update_time=timestamp(partner.updated_at),
    )


def _plan_name(plan: "plan_pb2.Plan.ValueType") -> str:
    return plan_pb2.Plan.Name(plan).removeprefix("PLAN_").lower()
