"""What users and partners say of a person: kept in one form, sealed, and refused by the name of the field."""

from weft.user.v1.address_pb2 import PostalAddress
from weft.user.v1.user_service_pb2 import BatchGetUsersRequest, GetUserRequest

from tests.harness import assert_refused
from tests.user.users.calls import BAD, HOME, WORK, create, shop
from tests.user.world import World


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


async def test_bad_input_is_refused_by_the_name_of_its_field(world: World) -> None:
    acme = await shop(world)
    for field, given in BAD:
        await assert_refused(create(world, acme, **given), "REQUEST_INVALID", violations={field: ""})
    assert await world.rows("SELECT 1 FROM users WHERE partner_id IS NOT NULL") == []


async def test_the_phone_of_a_person_is_not_set_by_an_operator(world: World) -> None:
    operator = (await world.operator()).metadata
    call = create(world, operator, phone="+43660123456")
    await assert_refused(call, "CHANGE_NEEDS_VERIFICATION", field="phone")
