"""The RPCs of PartnerService on clients."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from google.protobuf.empty_pb2 import Empty
from weft.user.v1 import partner_pb2
from weft.user.v1 import partner_service_pb2 as pb

from chassis import ids
from chassis.clock import Clock
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.security import modes
from chassis.security.identity import Identity
from chassis.storage.database import Database, Transaction
from chassis.times import timestamp
from services.user import ownership
from services.user.audit.audit import Audit
from services.user.audit.domain import changed_fields
from services.user.partners import registration
from services.user.partners.client_repository import ClientRepository
from services.user.partners.domain import (
    Client,
    ClientModeNotAllowed,
    ClientNotFound,
    ClientWithoutSecret,
    PartnerNotFound,
    Secret,
    make_secret,
)
from services.user.partners.repository import PartnerRepository
from services.user.revocations.repository import RevocationRepository


class ClientHandlers:
    """The part of weft.user.v1.PartnerService about clients and their secrets."""

    def __init__(
        self,
        database: Database,
        partners: PartnerRepository,
        clients: ClientRepository,
        revocations: RevocationRepository,
        pages: Pages,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._database = database
        self._partners = partners
        self._clients = clients
        self._revocations = revocations
        self._pages = pages
        self._audit = audit
        self._clock = clock

    async def CreateClient(self, request: pb.CreateClientRequest, call: Call) -> partner_pb2.Client:
        """The only response with the first secret."""
        _refuse_other_partner(call, request.partner_id, PartnerNotFound(partner_id=request.partner_id))
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
            await self._clients.insert(tx, client)
            if secret:
                await self._clients.insert_secret(tx, client.client_id, secret, now, _end(request, now))
            await self._audit.record(tx, call, "client.created", subject=client.client_id)
            return await self._reply(tx, client, secret)

    async def UpdateClient(self, request: pb.UpdateClientRequest, call: Call) -> partner_pb2.Client:
        """Updates the fields of the mask, or those that are set; a revoked client is not found."""
        partner_id, client_id = request.client.partner_id, request.client.client_id
        _refuse_other_partner(call, partner_id, ClientNotFound(client_id=client_id))
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
                await self._clients.update(tx, changed)
                if changed.withdraws(client):
                    await self._revocations.revoke(tx, "client", client_id)
                fields = changed_fields(client, changed)
                await self._audit.record(tx, call, "client.updated", subject=client_id, fields=fields)
            return await self._reply(tx, changed)

    async def ListClients(self, request: pb.ListClientsRequest, call: Call) -> pb.ListClientsResponse:
        """Newest first, including revoked clients; a client sees those of its own mode."""
        _refuse_other_partner(call, request.partner_id, PartnerNotFound(partner_id=request.partner_id))
        if await self._partners.get(request.partner_id) is None:
            raise PartnerNotFound(partner_id=request.partner_id)
        owner = ownership.client_owner_of(call.caller, request.partner_id)
        page = self._pages.read(request, {"list": "clients", "owner": owner})
        found = await self._clients.list(owner, page.limit, page.after)
        secrets = await self._clients.list_secrets(
            self._database, [client.client_id for client in found], self._clock.now()
        )
        clients, token = self._pages.split(
            page, found, lambda client: to_message(client, secrets[client.client_id]), key="client_id"
        )
        return pb.ListClientsResponse(clients=clients, next_page_token=token)

    async def RotateClientSecret(self, request: pb.RotateClientSecretRequest, call: Call) -> partner_pb2.Client:
        """The only response with the new secret; a revoked client is not found."""
        _refuse_other_partner(call, request.partner_id, ClientNotFound(client_id=request.client_id))
        now, secret = self._clock.now(), make_secret()
        async with self._database.transaction() as tx:
            client = await self._lock_client(tx, request, call)
            if client.revoked_at is not None:
                raise ClientNotFound(client_id=request.client_id)
            if not client.takes_secrets:
                raise ClientWithoutSecret(client_id=client.client_id)
            if request.end_others:
                await self._clients.replace_secrets(tx, client.client_id, secret, now, _end(request, now))
                await self._revocations.revoke(tx, "client", client.client_id)
            else:
                await self._clients.insert_secret(tx, client.client_id, secret, now, _end(request, now))
            await self._audit.record(tx, call, "client.secret_rotated", subject=client.client_id)
            return await self._reply(tx, client, secret)

    async def RevokeClient(self, request: pb.RevokeClientRequest, call: Call) -> Empty:
        """Cannot be undone."""
        _refuse_other_partner(call, request.partner_id, ClientNotFound(client_id=request.client_id))
        async with self._database.transaction() as tx:
            client = await self._lock_client(tx, request, call)
            if client.revoked_at is None:
                await self._clients.revoke(tx, client, self._clock.now())
                await self._revocations.revoke(tx, "client", client.client_id)
                await self._audit.record(tx, call, "client.revoked", subject=client.client_id)
        return Empty()

    async def _lock_client(
        self,
        tx: Transaction,
        request: pb.RotateClientSecretRequest | pb.RevokeClientRequest | partner_pb2.ClientSettings,
        call: Call,
    ) -> Client:
        owner = ownership.client_owner_of(call.caller, request.partner_id)
        client = await self._clients.lock(tx, owner, request.client_id)
        if client is None:
            raise ClientNotFound(client_id=request.client_id)
        if client.mode not in ownership.managed_modes(call.caller):
            raise ClientModeNotAllowed(mode=client.mode)
        return client

    async def _reply(self, tx: Transaction, client: Client, secret: str = "") -> partner_pb2.Client:
        live = await self._clients.list_secrets(tx, [client.client_id], self._clock.now())
        return to_message(client, live[client.client_id], secret)


def _refuse_other_partner(call: Call, partner_id: str, error: Exception) -> None:
    """Raise `error` if the caller belongs to another partner."""
    if not ownership.may_manage_partner(call.caller, partner_id):
        raise error


def to_message(client: Client, live: Sequence[Secret], secret: str = "") -> partner_pb2.Client:
    """The message of a client, with its secret if that was just made. `live`: the secrets that work."""
    message = partner_pb2.Client(
        client_id=client.client_id,
        partner_id=client.partner_id,
        display_name=client.display_name,
        scopes=client.scopes,
        secret=secret,
        mode=modes.to_message(client.mode),
        **registration.to_fields(client),
        create_time=timestamp(client.created_at),
        last_use_time=timestamp(client.last_used_at),
        revoke_time=timestamp(client.revoked_at),
    )
    for each in live:
        message.secrets.add(create_time=timestamp(each.created_at), expire_time=timestamp(each.expires_at))
    return message


def _end(request: pb.CreateClientRequest | pb.RotateClientSecretRequest, now: datetime) -> datetime | None:
    """When a new secret stops working, if it does."""
    return now + timedelta(days=request.secret_lifetime_days) if request.secret_lifetime_days else None


def _mode_of_new(request: pb.CreateClientRequest, caller: Identity) -> str:
    """The mode of a new client. Raises `ClientModeNotAllowed`: a client makes clients of its own mode only."""
    mode = modes.of_message(request.mode, caller.mode)
    if mode not in ownership.managed_modes(caller):
        raise ClientModeNotAllowed(mode=mode)
    return mode
