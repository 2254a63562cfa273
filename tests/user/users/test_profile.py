"""What users and partners say of a person: kept in one form, sealed, and refused by the name of the field."""

from typing import Any

from weft.user.v1 import user_pb2
from weft.user.v1.address_pb2 import PostalAddress
from weft.user.v1.user_service_pb2 import BatchGetUsersRequest, CreateUserRequest, GetUserRequest

from tests.harness import assert_refused
from tests.user.world import Metadata, World

HOME: dict[str, Any] = {"lines": ["Herrengasse 16"], "locality": "Graz", "postal_code": "8010", "region_code": "AT"}
WORK: dict[str, Any] = {"lines": ["Kärntner Ring 1"], "locality": "Wien", "postal_code": "1010", "region_code": "AT"}


async def shop(world: World) -> Metadata:
    """A client of a partner."""
    operator = await world.operator()
    return await world.client_metadata(await world.client(operator, await world.partner(operator)))


async def create(world: World, caller: Metadata, /, **fields: Any) -> user_pb2.User:
    return await world.users.CreateUser(CreateUserRequest(email=world.email("ada"), **fields), metadata=caller)


async def test_a_partner_says_all_of_its_customer_and_nothing_is_stored_in_the_clear(world: World) -> None:
    acme = await shop(world)
    user = await create(
        world,
        acme,
        given_name="Adalberta",
        family_name="Lovelacemark",
        phone="+43660123456",
        time_zone="europe/VIENNA",
        locale="DE-at",
        addresses=[PostalAddress(**HOME), PostalAddress(**WORK, is_default=True)],
        metadata={"tier": "goldmark"},
    )
    assert (user.given_name, user.family_name, user.phone) == ("Adalberta", "Lovelacemark", "+43660123456")
    assert (user.time_zone, user.locale, user.phone_verified) == ("Europe/Vienna", "de-AT", False)
    assert [address.is_default for address in user.addresses] == [False, True]
    assert all(address.address_id.startswith("adr_") for address in user.addresses)
    assert dict(user.metadata) == {"tier": "goldmark"}
    assert await world.users.GetUser(GetUserRequest(user_id=user.user_id), metadata=acme) == user

    found = (await world.users.BatchGetUsers(BatchGetUsersRequest(user_ids=[user.user_id]))).users[0]
    assert (found.family_name, found.phone, len(found.addresses), len(found.metadata)) == (
        "Lovelacemark", "+43660123456", 0, 0,
    )  # fmt: skip

    row = bytes(str(await world.rows("SELECT users::text FROM users WHERE partner_id IS NOT NULL")), "utf-8")
    for mark in ("Adalberta", "Lovelacemark", "660123456", "Herrengasse", "goldmark"):
        assert mark.encode() not in row
        assert mark.encode().hex().encode() not in row


async def test_the_first_address_is_the_default_where_none_says_so(world: World) -> None:
    user = await create(world, await shop(world), addresses=[PostalAddress(**HOME), PostalAddress(**WORK)])
    assert [address.is_default for address in user.addresses] == [True, False]


BAD: list[tuple[str, dict[str, Any]]] = [
    ("given_name", {"given_name": "x" * 101}),
    ("family_name", {"family_name": "x" * 101}),
    ("display_name", {"display_name": "x" * 101}),
    ("phone", {"phone": "0660 123456"}),
    ("time_zone", {"time_zone": "Middle-earth/Shire"}),
    ("locale", {"locale": "de-de-de"}),
    ("external_reference", {"external_reference": "x" * 101}),
    ("addresses", {"addresses": [PostalAddress(**HOME)] * 11}),
    ("addresses[1].locality", {"addresses": [PostalAddress(**HOME), PostalAddress(**{**HOME, "locality": ""})]}),
    ("addresses[0].lines", {"addresses": [PostalAddress(**{**HOME, "lines": []})]}),
    ("addresses[0].region_code", {"addresses": [PostalAddress(**{**HOME, "region_code": "XX"})]}),
    ("addresses[1].is_default", {"addresses": [PostalAddress(**HOME, is_default=True)] * 2}),
    ("addresses[0].address_id", {"addresses": [PostalAddress(**HOME, address_id="adr_01k00000000000000000000000")]}),
    ('metadata["a b"]', {"metadata": {"a b": ""}}),
    ('metadata["a"]', {"metadata": {"a": "x" * 501}}),
    ("metadata", {"metadata": {f"n{number}": "" for number in range(21)}}),
]


async def test_bad_input_is_refused_by_the_name_of_its_field(world: World) -> None:
    acme = await shop(world)
    for field, given in BAD:
        await assert_refused(create(world, acme, **given), "REQUEST_INVALID", violations={field: ""})
    assert await world.rows("SELECT 1 FROM users WHERE partner_id IS NOT NULL") == []


async def test_the_phone_of_a_person_is_not_set_by_an_operator(world: World) -> None:
    operator = (await world.operator()).metadata
    call = create(world, operator, phone="+43660123456")
    await assert_refused(call, "CHANGE_NEEDS_VERIFICATION", field="phone")
