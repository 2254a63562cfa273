"""The RPCs of PartnerService."""

from collections.abc import Callable, Collection

from google.protobuf.empty_pb2 import Empty
from weft.api.v1 import plan_pb2
from weft.user.v1 import partner_pb2
from weft.user.v1 import partner_service_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.errors import RequestInvalid
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.requests import masks
from chassis.security import modes
from chassis.security.identity import Identity
from chassis.storage.database import Database, Transaction
from services.user import ownership
from services.user.audit.audit import Audit
from services.user.audit.domain import changed_fields
from services.user.partners import registration
from services.user.partners.domain import (
    ACTIVE,
    Client,
    ClientModeNotAllowed,
    ClientNotFound,
    ClientWithoutSecret,
    Partner,
    PartnerNotFound,
    make_secret,
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
    ) -> None:
        self._database = database
        self._partners = partners
        self._revocations = revocations
        self._pages = pages
        self._audit = audit
        self._clock = clock
        self._scopes = frozenset(scopes)

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

    async def GetPartner(self, request: pb.GetPartnerRequest, _: Call) -> partner_pb2.Partner:
        """One partner, for operators."""
        partner = await self._partners.get(request.partner_id)
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
        changes = self._read_changes(request)
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

    async def CreateClient(self, request: pb.CreateClientRequest, call: Call) -> partner_pb2.Client:
        """The only response with the first secret."""
        self._refuse_other_partner(call, request.partner_id, PartnerNotFound(partner_id=request.partner_id))
        now = self._clock.now()
        client = Client(
            client_id=ids.new("cli", now),
            partner_id=request.partner_id,
            display_name=request.display_name,
            scopes=tuple(sorted(request.scopes)),
            created_at=now,
            mode=_mode_of_new(request, call.caller),
            **registration.of_new(request),
        )
        registration.refuse_invalid(client, "")
        secret = make_secret() if client.takes_secrets else ""
        async with self._database.transaction() as tx:
            partner = await self._partners.lock(tx, request.partner_id)
            if partner is None:
                raise PartnerNotFound(partner_id=request.partner_id)
            partner.require(request.scopes)
            await self._partners.insert_client(tx, client)
            if secret:
                await self._partners.insert_secret(tx, client.client_id, secret, now)
            await self._audit.record(tx, call, "client.created", subject=client.client_id)
        return to_client_message(client, secret)

    async def UpdateClient(self, request: pb.UpdateClientRequest, call: Call) -> partner_pb2.Client:
        """Updates the fields of the mask, or those that are set; a revoked client is not found."""
        partner_id, client_id = request.client.partner_id, request.client.client_id
        self._refuse_other_partner(call, partner_id, ClientNotFound(client_id=client_id))
        changes = registration.changes(request)
        async with self._database.transaction() as tx:
            partner = await self._partners.lock(tx, partner_id)
            client = await self._lock_client(tx, request.client, call)
            if partner is None or client.revoked_at is not None:
                raise ClientNotFound(client_id=client_id)
            changed = client.update(request.client.etag, changes)
            registration.refuse_invalid(changed, "client.")
            if "scopes" in changes:
                partner.require(changed.scopes)
            if changed is not client:
                await self._partners.update_client(tx, changed)
                if changed.withdraws(client):
                    await self._revocations.revoke(tx, "client", client_id)
                if not set(client.scopes) <= set(changed.scopes):
                    await self._revocations.revoke(tx, "client", client_id)
                fields = changed_fields(client, changed)
                await self._audit.record(tx, call, "client.updated", subject=client_id, fields=fields)
        return to_client_message(changed)

    async def ListClients(self, request: pb.ListClientsRequest, call: Call) -> pb.ListClientsResponse:
        """Newest first, including revoked clients; a client sees those of its own mode."""
        self._refuse_other_partner(call, request.partner_id, PartnerNotFound(partner_id=request.partner_id))
        if await self._partners.get(request.partner_id) is None:
            raise PartnerNotFound(partner_id=request.partner_id)
        seen = ownership.modes_of(call.caller)
        page = self._pages.read(request, {"list": "clients", "partner_id": request.partner_id, "modes": seen})
        found = await self._partners.list_clients(request.partner_id, seen, page.limit, page.after)
        clients, token = self._pages.split(page, found, to_client_message, key="client_id")
        return pb.ListClientsResponse(clients=clients, next_page_token=token)

    async def RotateClientSecret(self, request: pb.RotateClientSecretRequest, call: Call) -> partner_pb2.Client:
        """The only response with the new secret; a revoked client is not found."""
        self._refuse_other_partner(call, request.partner_id, ClientNotFound(client_id=request.client_id))
        now, secret = self._clock.now(), make_secret()
        async with self._database.transaction() as tx:
            client = await self._lock_client(tx, request, call)
            if client.revoked_at is not None:
                raise ClientNotFound(client_id=request.client_id)
            if not client.takes_secrets:
                raise ClientWithoutSecret(client_id=client.client_id)
            await self._partners.insert_secret(tx, client.client_id, secret, now)
            await self._audit.record(tx, call, "client.secret_rotated", subject=client.client_id)
        return to_client_message(client, secret)

    async def RevokeClient(self, request: pb.RevokeClientRequest, call: Call) -> Empty:
        """Cannot be undone."""
        self._refuse_other_partner(call, request.partner_id, ClientNotFound(client_id=request.client_id))
        async with self._database.transaction() as tx:
            client = await self._lock_client(tx, request, call)
            if client.revoked_at is None:
                await self._partners.revoke_client(tx, client, self._clock.now())
                await self._revocations.revoke(tx, "client", client.client_id)
                await self._audit.record(tx, call, "client.revoked", subject=client.client_id)
        return Empty()

    async def _lock_client(
        self,
        tx: Transaction,
        request: pb.RotateClientSecretRequest | pb.RevokeClientRequest | partner_pb2.ClientSettings,
        call: Call,
    ) -> Client:
        seen = ownership.modes_of(call.caller)
        client = await self._partners.lock_client(tx, request.partner_id, seen, request.client_id)
        if client is None:
            raise ClientNotFound(client_id=request.client_id)
        return client

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
            if changed.withdraws(partner):
                await self._revocations.revoke(tx, "partner", partner_id)
            reply = to_message(changed)
            await call.remember(tx, reply)
        return reply

    def _read_changes(self, request: pb.UpdatePartnerRequest) -> dict[str, object]:
        partner, paths = request.partner, masks.fields(request, "partner")
        if "scopes" in paths:
            self._refuse_unknown(partner.scopes, "partner.scopes")
        read: dict[str, Callable[[], object]] = {
            "display_name": lambda: partner.display_name,
            "plan": lambda: _plan_name(partner.plan),
            "scopes": lambda: tuple(sorted(partner.scopes)),
        }
        return {path: read[path]() for path in paths}

    def _refuse_unknown(self, scopes: Collection[str], field: str) -> None:
        unknown = unknown_scopes(scopes, self._scopes)
        if unknown:
            raise RequestInvalid(
                violations=[
                    (f"{field}[{place}]", f"partners cannot hold the scope {scope}") for place, scope in unknown
                ]
            )

    def _refuse_other_partner(self, call: Call, partner_id: str, error: Exception) -> None:
        """Raise `error` if the caller is a client of another partner."""
        if not ownership.may_manage_partner(call.caller, partner_id):
            raise error


def to_message(partner: Partner) -> partner_pb2.Partner:
    """The message of a partner."""
    message = partner_pb2.Partner(
        partner_id=partner.partner_id,
        display_name=partner.display_name,
        plan=plan_pb2.Plan.Value(f"PLAN_{partner.plan.upper()}"),
        scopes=partner.scopes,
        state=partner_pb2.PartnerState.Value(f"PARTNER_STATE_{partner.state}"),
        etag=partner.etag,
    )
    message.create_time.FromDatetime(partner.created_at)
    message.update_time.FromDatetime(partner.updated_at)
    return message


def to_client_message(client: Client, secret: str = "") -> partner_pb2.Client:
    """The message of a client, with its secret if that was just made."""
    message = partner_pb2.Client(
        client_id=client.client_id,
        partner_id=client.partner_id,
        display_name=client.display_name,
        scopes=client.scopes,
        secret=secret,
        mode=modes.to_message(client.mode),
        **registration.to_fields(client),
    )
    message.create_time.FromDatetime(client.created_at)
    if client.last_used_at is not None:
        message.last_use_time.FromDatetime(client.last_used_at)
    if client.revoked_at is not None:
        message.revoke_time.FromDatetime(client.revoked_at)
    return message


def _mode_of_new(request: pb.CreateClientRequest, caller: Identity) -> str:
    """The mode of a new client. Raises `ClientModeNotAllowed`: a client makes clients of its own mode only."""
    mode = modes.of_message(request.mode, caller.mode)
    if mode not in ownership.modes_of(caller):
        raise ClientModeNotAllowed(mode=mode)
    return mode


def _plan_name(plan: "plan_pb2.Plan.ValueType") -> str:
    return plan_pb2.Plan.Name(plan).removeprefix("PLAN_").lower()
