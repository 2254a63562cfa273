"""Who calls the user service in the ownership matrix, and what each owns."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from weft.api.v1 import mode_pb2, plan_pb2
from weft.user.v1 import partner_service_pb2, partner_service_pb2_grpc, user_service_pb2, user_service_pb2_grpc

from chassis import ids
from chassis.app import App
from chassis.storage.database import Query
from contract import Method
from services.user.consents.repository import ConsentRepository
from services.user.keys.authentication import PASSWORD, Authentication
from services.user.passkeys.domain import Passkey
from services.user.passkeys.repository import PasskeyRepository
from services.user.revocations.repository import RevocationRepository
from services.user.sessions.repository import SessionRepository
from tests.contract.ownership.actors import SCOPES, TEST, actors, mode_of
from tests.contract.ownership.ownership import CONTRACT, Ids, World
from tests.harness import Harness

_GRANTED = sorted(scope.name for scope in CONTRACT.scopes.values() if scope.partners)
_MEMBER = Query(
    "INSERT INTO members (partner_id, user_id, member_id, role, created_at) "
    "VALUES (%(partner)s, %(user)s, %(member)s, 'owner', now()) ON CONFLICT DO NOTHING"
)
_SET_STATE = Query("UPDATE users SET state = %(state)s WHERE user_id = %(user_id)s")


@asynccontextmanager
async def world(harness: Harness) -> AsyncIterator[World]:
    """Two partners with a customer and a client each; one of them in TEST as well."""

    async def build(app: App) -> None:
        await import_module("services.user.__main__").build(app)
        app.tokens.use(harness.issuer.jwks)  # the user service's own keys are not ours

    async with (
        harness.running("order", work=False) as order,
        harness.running("notification", work=False) as notification,
        harness.running(
            "user", build, work=False, peers={"order": [order.address], "notification": [notification.address]}
        ) as running,
    ):
        partner_rpc: Any = partner_service_pb2_grpc.PartnerServiceStub(running.channel)
        operator = [("authorization", harness.issuer.operator(ids.new("usr"), SCOPES))]
        owners = await _owners(harness, running.channel, operator)

        async def create(group: str) -> Ids:
            user, partner = owners[group]
            mode = mode_pb2.MODE_TEST if mode_of(group) == "TEST" else mode_pb2.MODE_LIVE
            new = partner_service_pb2.CreateClientRequest(
                partner_id=partner, display_name="Shop", scopes=_GRANTED, mode=mode
            )
            client = await partner_rpc.CreateClient(new, metadata=operator)
            await running.app.database.run(_MEMBER, partner=partner, user=user, member=ids.new("mbr"))
            made = {"user_id": user, "partner_id": partner, "client_id": client.client_id}
            return made | await _stored(running.app, user, client.client_id)

        async def prepare(method: Method, made: Ids) -> None:
            state = {"ReactivateUser": "INACTIVE", "UnlockUser": "LOCKED"}.get(method.name, "ACTIVE")
            await running.app.database.run(_SET_STATE, state=state, user_id=made["user_id"])

        yield World(running, actors(harness, owners), create, prepare)


async def _owners(harness: Harness, channel: Any, operator: list[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """The id of a new customer and that of the partner, by group."""
    partner_rpc: Any = partner_service_pb2_grpc.PartnerServiceStub(channel)
    user_rpc: Any = user_service_pb2_grpc.UserServiceStub(channel)

    async def customer(name: str, partner: str, mode: str) -> tuple[str, str]:
        token = [("authorization", harness.issuer.partner(partner, SCOPES, mode=mode))]
        new = user_service_pb2.CreateUserRequest(email=f"{name}@example.com")
        return (await user_rpc.CreateUser(new, metadata=token)).user_id, partner

    owners: dict[str, tuple[str, str]] = {}
    for group in ("acme", "zenith"):
        new = partner_service_pb2.CreatePartnerRequest(display_name=group, plan=plan_pb2.PLAN_STANDARD, scopes=_GRANTED)
        partner = (await partner_rpc.CreatePartner(new, metadata=operator)).partner_id
        owners[group] = await customer(group, partner, "LIVE")
    owners["acme" + TEST] = await customer("acme", owners["acme"][1], "TEST")
    return owners


async def _stored(app: App, user: str, client: str) -> Ids:
    """What a person gets by signing in, put where it is kept: a passkey, a consent and a session."""
    now, session = datetime.now(UTC), ids.new("ses")
    passkey = Passkey(ids.new("pky"), user, os.urandom(16), b"key", 0, "Phone", False, now)
    sessions = SessionRepository(RevocationRepository(app.database, app.clock), app.vault)
    async with app.database.transaction() as tx:
        await PasskeyRepository(app.database, app.vault).insert(tx, passkey)
        await ConsentRepository(app.database).upsert_consent(tx, user, client, ("orders.read",), now)
        await sessions.insert(tx, session, user, session, Authentication((PASSWORD,), now))
    return {"passkey_id": passkey.passkey_id, "session_id": session}
