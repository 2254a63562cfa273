"""Clients are in TEST or in LIVE, and so is all that they make: neither sees the other's."""

from typing import Any

import pytest
from weft.api.v1.mode_pb2 import MODE_LIVE, MODE_TEST, MODE_UNSPECIFIED
from weft.user.v1.partner_service_pb2 import (
    CreateClientRequest,
    ListClientsRequest,
    RevokeClientRequest,
    RotateClientSecretRequest,
)
from weft.user.v1.user_changes_pb2 import DeactivateUserRequest
from weft.user.v1.user_service_pb2 import CreateUserRequest, GetUserRequest, ListUsersRequest

from tests.harness import assert_refused
from tests.user.world import Person, World, request_token

SCOPES = "partners.admin users.read users.write"
MODES = {"LIVE": MODE_LIVE, "TEST": MODE_TEST}


class Company:
    """A partner with a client of each mode."""

    def __init__(self, world: World, operator: Person, partner_id: str) -> None:
        self.world = world
        self.operator = operator
        self.partner_id = partner_id
        self.clients: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}

    async def hire(self) -> "Company":
        for name, mode in MODES.items():
            self.clients[name] = await self.create(self.operator.metadata, mode)
            self.metadata[name] = await self.world.client_metadata(self.clients[name])
        return self

    def create(self, metadata: Any, mode: Any) -> Any:
        request = CreateClientRequest(partner_id=self.partner_id, display_name="Shop", scopes=SCOPES.split(), mode=mode)
        return self.world.partners.CreateClient(request, metadata=metadata)

    async def seen(self, metadata: Any) -> set[str]:
        request = ListClientsRequest(partner_id=self.partner_id)
        return {
            client.client_id for client in (await self.world.partners.ListClients(request, metadata=metadata)).clients
        }

    def customer(self, mode: str, email: str) -> Any:
        request = CreateUserRequest(email=email, external_reference="r-1")
        return self.world.users.CreateUser(request, metadata=self.metadata[mode])


@pytest.fixture
async def company(world: World, operator: Person) -> Company:
    partner = await world.partner(operator, scopes=SCOPES)
    return await Company(world, operator, partner.partner_id).hire()


async def test_a_token_has_the_mode_of_its_client(company: Company, world: World) -> None:
    for name, client in company.clients.items():
        assert client.mode == MODES[name]
        token = (await request_token(world, client)).body["access_token"]
        assert (await world.claims(token))["mode"] == name


async def test_the_users_of_one_mode_do_not_exist_in_the_other(company: Company, world: World) -> None:
    made = {mode: await company.customer(mode, world.email("ann")) for mode in MODES}
    for mode, other in (("LIVE", "TEST"), ("TEST", "LIVE")):
        metadata = company.metadata[mode]
        assert made[mode].mode == MODES[mode]
        listed = await world.users.ListUsers(ListUsersRequest(), metadata=metadata)
        assert [user.user_id for user in listed.users] == [made[mode].user_id]
        found = await world.users.ListUsers(ListUsersRequest(email=world.email("ANN")), metadata=metadata)
        assert [user.user_id for user in found.users] == [made[mode].user_id]
        get = world.users.GetUser(GetUserRequest(user_id=made[other].user_id), metadata=metadata)
        await assert_refused(get, "USER_NOT_FOUND", user_id=made[other].user_id)
        await assert_refused(company.customer(mode, world.email("ann")), "EMAIL_TAKEN")
        await assert_refused(
            company.customer(mode, world.email("bob")), "EXTERNAL_REFERENCE_TAKEN", external_reference="r-1"
        )
    for mode in MODES:
        request = DeactivateUserRequest(user_id=made[mode].user_id)
        await world.users.DeactivateUser(request, metadata=company.metadata[mode])
        (event,) = [e for e in await world.events() if (e.type, e.user_id) == ("user.deactivated", request.user_id)]
        assert (event.mode, event.partner_id) == (MODES[mode], company.partner_id)
    everyone = await world.users.ListUsers(
        ListUsersRequest(email=world.email("ann")), metadata=company.operator.metadata
    )
    assert {user.user_id: user.mode for user in everyone.users} == {made[mode].user_id: MODES[mode] for mode in MODES}


async def test_a_client_manages_those_of_its_own_mode(company: Company, world: World) -> None:
    made = {client.client_id for client in company.clients.values()}
    assert await company.seen(company.operator.metadata) == made
    for mode, other in (("LIVE", "TEST"), ("TEST", "LIVE")):
        metadata = company.metadata[mode]
        assert await company.seen(metadata) == {company.clients[mode].client_id}
        foreign = {"partner_id": company.partner_id, "client_id": company.clients[other].client_id}
        for call in (
            world.partners.RotateClientSecret(RotateClientSecretRequest(**foreign), metadata=metadata),
            world.partners.RevokeClient(RevokeClientRequest(**foreign), metadata=metadata),
        ):
            await assert_refused(call, "CLIENT_NOT_FOUND", client_id=foreign["client_id"])
        await assert_refused(company.create(metadata, MODES[other]), "CLIENT_MODE_NOT_ALLOWED", mode=other)
        assert (await company.create(metadata, MODE_UNSPECIFIED)).mode == MODES[mode]
        revoke = RevokeClientRequest(partner_id=company.partner_id, client_id=company.clients[mode].client_id)
        await world.partners.RevokeClient(revoke, metadata=metadata)
        assert (await request_token(world, company.clients[mode])).status == 401
