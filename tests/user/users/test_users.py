"""Users as partners, operators, other services and they themselves see them."""

import asyncio
from typing import Any

import pytest
from weft.api.v1 import mode_pb2, scope_pb2
from weft.user.v1 import user_pb2, user_service_pb2_grpc
from weft.user.v1.user_service_pb2 import (
    BatchGetUsersRequest,
    CreateUserRequest,
    GetUserRequest,
    ListUsersRequest,
)

from chassis import ids
from tests.harness import assert_refused
from tests.user.world import Metadata, World


@pytest.fixture
async def operator(world: World) -> Metadata:
    """An operator's metadata."""
    return (await world.operator()).metadata


async def shop(world: World, name: str = "Acme") -> tuple[str, Metadata]:
    """A partner's id and a client's metadata."""
    operator = await world.operator()
    partner = await world.partner(operator, name)
    return partner.partner_id, await world.client_metadata(await world.client(operator, partner))


async def create(world: World, metadata: Metadata, name: str, **more: Any) -> user_pb2.User:
    return await world.users.CreateUser(CreateUserRequest(email=world.email(name), **more), metadata=metadata)


async def test_a_partners_customer_is_active_immediately(world: World) -> None:
    partner_id, metadata = await shop(world)
    request = CreateUserRequest(
        email=world.email("Cus"), display_name="Cus", locale="de-AT", external_reference="customer 7"
    )
    call = world.users.CreateUser(request, metadata=metadata)
    user = await call
    expected = user_pb2.User(
        user_id=user.user_id,
        email=world.email("Cus"),
        display_name="Cus",
        locale="de-AT",
        state=user_pb2.USER_STATE_ACTIVE,
        partner_id=partner_id,
        external_reference="customer 7",
        roles=[scope_pb2.ROLE_CUSTOMER],
        etag="1",
        mode=mode_pb2.MODE_LIVE,
        given_name="",
        family_name="",
        phone="",
        time_zone="",
    )
    expected.create_time.FromDatetime(world.clock.now())
    expected.update_time.FromDatetime(world.clock.now())
    assert user == expected
    headers = tuple(await call.initial_metadata())
    assert ("location", f"/v1/users/{user.user_id}") in headers
    assert ("x-http-status", "201") in headers
    assert await world.users.GetUser(GetUserRequest(user_id=user.user_id), metadata=metadata) == user
    assert await world.emitted() == []


async def test_a_person_whom_an_operator_adds_is_invited_and_signs_up(world: World, operator: Metadata) -> None:
    user = await create(world, operator, "ada")
    assert (user.state, user.partner_id, user.locale) == (user_pb2.USER_STATE_INITIAL, "", "en")
    assert await world.emitted() == [("user.invited", user.user_id, 1)]
    assert (await world.events())[0].actor.startswith("usr_")

    person = await world.registered("ada")
    assert (await world.emitted())[-1] == ("user.verified", user.user_id, 2)
    assert (await world.sign_in(person.email, person.password)).user_id == user.user_id


@pytest.mark.parametrize(
    ("given", "kept"), [("DE", "de"), ("de-at", "de-AT"), ("sr-latn-rs", "sr-Latn-RS"), ("", "en")]
)
async def test_a_locale_has_one_spelling(world: World, operator: Metadata, given: str, kept: str) -> None:
    assert (await create(world, operator, "ada", locale=given)).locale == kept


@pytest.mark.parametrize("locale", ["de-de-de", "de_AT", "en" + "-aa" * 12])
async def test_what_is_no_language_tag_is_refused(world: World, operator: Metadata, locale: str) -> None:
    await assert_refused(
        create(world, operator, "ada", locale=locale), "REQUEST_INVALID", violations={"locale": "must be"}
    )


async def test_an_address_that_no_mail_reaches_is_refused(world: World, operator: Metadata) -> None:
    request = CreateUserRequest(email="kim..x@docomo.example")
    call = world.users.CreateUser(request, metadata=operator)
    await assert_refused(call, "REQUEST_INVALID", violations={"email": "cannot have two periods in a row"})


async def test_an_address_is_taken_for_one_partner_and_free_for_another(world: World) -> None:
    _, acme = await shop(world)
    _, other = await shop(world, "Other")
    await create(world, acme, "ada")
    await assert_refused(create(world, acme, "ADA"), "EMAIL_TAKEN")
    await create(world, other, "ada")
    await world.registered("ada")


async def test_an_external_reference_is_taken_for_one_partner(world: World) -> None:
    _, acme = await shop(world)
    _, other = await shop(world, "Other")
    await create(world, acme, "ada", external_reference="7")
    await assert_refused(
        create(world, acme, "bob", external_reference="7"), "EXTERNAL_REFERENCE_TAKEN", external_reference="7"
    )
    await create(world, other, "ada", external_reference="7")
    await create(world, acme, "cyd")
    await create(world, acme, "dan")


async def test_of_twenty_concurrent_users_with_one_address_one_is_created(world: World) -> None:
    _, metadata = await shop(world)
    answers = await asyncio.gather(*(create(world, metadata, "ada") for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(answer, user_pb2.User) for answer in answers) == 1
    assert len(await world.rows("SELECT 1 FROM users WHERE partner_id IS NOT NULL")) == 1


async def test_a_key_makes_one_user_and_one_answer(world: World) -> None:
    _, metadata = await shop(world)
    keyed = [*metadata, ("idempotency-key", "k1")]
    first = await create(world, keyed, "ada")
    again = await create(world, keyed, "ada")
    assert again == first
    await assert_refused(create(world, keyed, "bob"), "IDEMPOTENCY_KEY_REUSED")
    stored = str(await world.rows("SELECT idempotency::text FROM idempotency"))
    assert world.email("ada").encode().hex() not in stored


async def test_users_see_only_themselves(world: World) -> None:
    ada, bob = await world.person("ada"), await world.person("bob")
    for user_id in ("me", ada.user_id):
        assert (await world.users.GetUser(GetUserRequest(user_id=user_id), metadata=ada.metadata)).email == ada.email
    await assert_refused(
        world.users.GetUser(GetUserRequest(user_id=bob.user_id), metadata=ada.metadata),
        "USER_NOT_FOUND",
        user_id=bob.user_id,
    )
    nobody = ids.new("usr")
    await assert_refused(world.users.GetUser(GetUserRequest(user_id=nobody), metadata=ada.metadata), "USER_NOT_FOUND")


async def test_partners_see_their_own_and_no_one_is_a_client(world: World) -> None:
    _, acme = await shop(world)
    _, other = await shop(world, "Other")
    customer = await create(world, acme, "ada")
    person = await world.person("bob")
    for user_id, metadata in ((customer.user_id, other), (person.user_id, acme), ("me", acme)):
        await assert_refused(
            world.users.GetUser(GetUserRequest(user_id=user_id), metadata=metadata), "USER_NOT_FOUND", user_id=user_id
        )


async def test_operators_see_everyone(world: World, operator: Metadata) -> None:
    _, acme = await shop(world)
    customer = await create(world, acme, "ada")
    assert await world.users.GetUser(GetUserRequest(user_id=customer.user_id), metadata=operator) == customer
    me = await world.users.GetUser(GetUserRequest(user_id="me"), metadata=operator)
    assert list(me.roles) == [scope_pb2.ROLE_CUSTOMER, scope_pb2.ROLE_OPERATOR, scope_pb2.ROLE_ADMIN]


async def test_other_services_get_those_that_exist(world: World) -> None:
    ada, bob = await world.person("ada"), await world.person("bob")
    request = BatchGetUsersRequest(user_ids=[ada.user_id, ids.new("usr"), bob.user_id, ada.user_id])
    found = (await world.users.BatchGetUsers(request)).users
    assert sorted(user.email for user in found) == sorted([ada.email, bob.email])


async def test_the_edge_is_no_service(world: World) -> None:
    person = await world.person("ada")
    channel = world.channel_as("edge")
    stub: Any = user_service_pb2_grpc.UserServiceStub(channel)
    call = stub.BatchGetUsers(BatchGetUsersRequest(user_ids=[person.user_id]), metadata=person.metadata)
    await assert_refused(call, "CALLER_NOT_ALLOWED")
    await channel.close()


async def listed(world: World, metadata: Metadata, **request: Any) -> list[str]:
    """Every page of a list, as addresses' first names."""
    names: list[str] = []
    token = ""
    while True:
        reply = await world.users.ListUsers(ListUsersRequest(page_token=token, **request), metadata=metadata)
        names += [user.email.partition(".")[0] for user in reply.users]
        token = reply.next_page_token
        if not token:
            return names


async def test_a_partner_lists_its_own_newest_first_page_by_page(world: World) -> None:
    _, acme = await shop(world)
    _, other = await shop(world, "Other")
    await create(world, other, "stranger")
    users = [await create(world, acme, f"u{number}") for number in range(5)]
    newest_first = [u.email.partition(".")[0] for u in sorted(users, key=lambda u: u.user_id, reverse=True)]
    for size in (0, 1, 2, 5, 1000):
        assert await listed(world, acme, page_size=size) == newest_first


async def test_lists_are_filtered(world: World, operator: Metadata) -> None:
    _, acme = await shop(world)
    await create(world, acme, "ada", external_reference="7")
    await create(world, operator, "ada")
    await create(world, acme, "bob")
    assert sorted(await listed(world, operator)) == ["ada", "ada", "bob", "operator"]
    assert sorted(await listed(world, operator, email=world.email("ADA"))) == ["ada", "ada"]
    assert await listed(world, acme, email=world.email("ada")) == ["ada"]
    assert await listed(world, acme, external_reference="7") == ["ada"]
    assert await listed(world, acme, external_reference="7", email=world.email("bob")) == []
    initial, active = user_pb2.USER_STATE_INITIAL, user_pb2.USER_STATE_ACTIVE
    assert await listed(world, operator, states=[initial], page_size=1) == ["ada"]
    assert sorted(await listed(world, operator, states=[initial, active], page_size=1)) == [
        "ada",
        "ada",
        "bob",
        "operator",
    ]


async def test_a_page_token_is_of_one_query_and_one_partner(world: World) -> None:
    _, acme = await shop(world)
    _, other = await shop(world, "Other")
    for number in range(3):
        await create(world, acme, f"u{number}")
    page = await world.users.ListUsers(ListUsersRequest(page_size=1), metadata=acme)
    for metadata, request in (
        (other, ListUsersRequest(page_token=page.next_page_token)),
        (acme, ListUsersRequest(page_token=page.next_page_token, external_reference="7")),
        (acme, ListUsersRequest(page_token="x" + page.next_page_token)),
    ):
        await assert_refused(world.users.ListUsers(request, metadata=metadata), "PAGE_TOKEN_INVALID")


async def test_customers_neither_list_nor_create(world: World) -> None:
    person = await world.person("ada")
    for call in (
        world.users.ListUsers(ListUsersRequest(), metadata=person.metadata),
        world.users.CreateUser(CreateUserRequest(email=world.email("x")), metadata=person.metadata),
    ):
        await assert_refused(call, "CALLER_NOT_ALLOWED")


async def test_a_text_that_the_database_cannot_keep_is_the_callers_fault(world: World, operator: Metadata) -> None:
    for call in (
        create(world, operator, "ada", external_reference="a\0b"),
        world.users.ListUsers(ListUsersRequest(external_reference="a\0b"), metadata=operator),
    ):
        await assert_refused(call, "REQUEST_INVALID", violations={"external_reference": "U+0000"})
