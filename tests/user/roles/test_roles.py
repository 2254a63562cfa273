"""SetUserRoles: scopes follow roles, sessions end, and one admin stays."""

import asyncio

import grpc
import pytest
from weft.api.v1 import scope_pb2
from weft.user.v1.auth_service_pb2 import RefreshRequest
from weft.user.v1.user_roles_pb2 import SetUserRolesRequest
from weft.user.v1.user_service_pb2 import CreateUserRequest

from chassis import ids
from tests.harness import assert_refused, refusal
from tests.user.world import Person, World

CUSTOMER, OPERATOR, ADMIN = scope_pb2.ROLE_CUSTOMER, scope_pb2.ROLE_OPERATOR, scope_pb2.ROLE_ADMIN


async def set_roles(world: World, caller: Person, user_id: str, *roles: int, etag: str = ""):
    request = SetUserRolesRequest(user_id=user_id, roles=roles, etag=etag)
    return await world.users.SetUserRoles(request, metadata=caller.metadata)


async def test_roles_are_set_and_the_person_signs_in_again(world: World, operator: Person) -> None:
    person = await world.person("ada")
    user = await set_roles(world, operator, person.user_id, OPERATOR)
    assert (list(user.roles), user.etag) == ([CUSTOMER, OPERATOR], "2")
    refresh = RefreshRequest(refresh_token=person.tokens.refresh_token)
    await assert_refused(world.auth.Refresh(refresh), "REFRESH_TOKEN_INVALID")
    claims = await world.claims((await world.sign_in(person.email, person.password)).access_token)
    assert claims["roles"] == ["customer", "operator"]
    assert "products.write" in claims["scope"].split()
    # The same roles again change nothing, whatever the etag, and end no session.
    assert (await set_roles(world, operator, person.user_id, CUSTOMER, OPERATOR, etag="1")).etag == "2"
    await assert_refused(set_roles(world, operator, person.user_id, CUSTOMER, etag="1"), "ETAG_MISMATCH")
    assert list((await set_roles(world, operator, person.user_id, CUSTOMER, etag="2")).roles) == [CUSTOMER]


async def test_whose_roles_cannot_be_set(world: World, operator: Person) -> None:
    partner = await world.partner(operator)
    shop = await world.client_metadata(await world.client(operator, partner))
    customer = await world.users.CreateUser(CreateUserRequest(email=world.email("cus")), metadata=shop)
    await assert_refused(set_roles(world, operator, customer.user_id, ADMIN), "ROLES_NOT_ASSIGNABLE")
    await assert_refused(set_roles(world, operator, ids.new("usr"), ADMIN), "USER_NOT_FOUND")
    person = await world.person("ada")
    await assert_refused(set_roles(world, person, person.user_id, ADMIN), "CALLER_NOT_ALLOWED")
    await set_roles(world, operator, person.user_id, OPERATOR)
    person.tokens = await world.sign_in(person.email, person.password)
    await assert_refused(set_roles(world, person, person.user_id, ADMIN), "SCOPE_MISSING")
    await assert_refused(
        set_roles(world, operator, person.user_id, 0), "REQUEST_INVALID", violations={"roles[0]": "must be one of"}
    )


async def test_the_last_admin_stays_one(world: World, operator: Person) -> None:
    await assert_refused(set_roles(world, operator, operator.user_id, OPERATOR), "LAST_ADMIN")
    invited = await world.users.CreateUser(CreateUserRequest(email=world.email("eve")), metadata=operator.metadata)
    await set_roles(world, operator, invited.user_id, ADMIN)
    # Who cannot sign in yet does not count.
    await assert_refused(set_roles(world, operator, operator.user_id, OPERATOR), "LAST_ADMIN")


@pytest.mark.parametrize("round_", range(5))
async def test_two_admins_who_demote_each_other_leave_one(world: World, operator: Person, round_: int) -> None:
    other = await world.person("ada")
    await set_roles(world, operator, other.user_id, ADMIN)
    other.tokens = await world.sign_in(other.email, other.password)
    outcomes = await asyncio.gather(
        set_roles(world, operator, other.user_id, CUSTOMER),
        set_roles(world, other, operator.user_id, CUSTOMER),
        return_exceptions=True,
    )
    failed = [refusal(each).reason for each in outcomes if isinstance(each, grpc.RpcError)]
    assert failed == ["LAST_ADMIN"]
    rows = await world.rows("SELECT user_id FROM users WHERE 'admin' = ANY (roles)")
    assert len(rows) == 1
