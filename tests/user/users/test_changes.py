"""Users are updated by field, and accounts change their state by moves that refuse what is illegal."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from weft.user.v1 import user_pb2
from weft.user.v1.address_pb2 import PostalAddress
from weft.user.v1.user_changes_pb2 import (
    DeactivateUserRequest,
    LockUserRequest,
    ReactivateUserRequest,
    UnlockUserRequest,
    UpdateUserRequest,
)
from weft.user.v1.user_service_pb2 import CreateUserRequest, GetUserRequest, ListUsersRequest

from chassis.clock import FixedClock
from tests.harness import assert_refusal, assert_refused
from tests.user.users.calls import BAD, HOME, WORK, create, shop, update
from tests.user.world import World


async def test_a_person_changes_what_is_present_or_in_the_mask(world: World) -> None:
    ada = await world.person("ada")
    user = await update(
        world, ada.metadata, "me", given_name="Ada", locale="DE-at", time_zone="europe/vienna", metadata={"a": "b"},
        addresses=[PostalAddress(**HOME), PostalAddress(**WORK)],
    )  # fmt: skip
    assert (user.given_name, user.display_name, user.locale, user.time_zone) == ("Ada", "Ada", "de-AT", "Europe/Vienna")
    home, work = user.addresses
    assert (home.is_default, work.is_default, dict(user.metadata)) == (True, False, {"a": "b"})
    assert (await world.emitted())[-1] == ("user.updated", ada.user_id, 2)
    (event,) = await world.rows("SELECT fields FROM audit_events WHERE action = 'user.updated'")
    assert event.fields == ["addresses", "given_name", "locale", "metadata", "time_zone"]

    work.is_default, home.is_default = True, False
    swapped = await update(world, ada.metadata, ada.user_id, addresses=[work, home])
    assert list(swapped.addresses) == [work, home]
    cleared = await update(world, ada.metadata, "me", ("addresses", "given_name", "metadata"))
    assert (list(cleared.addresses), cleared.given_name, dict(cleared.metadata)) == ([], "", {})
    assert await world.users.GetUser(GetUserRequest(user_id="me"), metadata=ada.metadata) == cleared


async def test_what_was_read_can_be_sent_back_and_changes_nothing(world: World) -> None:
    acme = await shop(world)
    user = await create(world, acme, phone="+43660123456", addresses=[PostalAddress(**HOME)], external_reference="7")
    events = await world.emitted()
    assert await world.users.UpdateUser(UpdateUserRequest(user=user), metadata=acme) == user
    assert await world.emitted() == events


async def test_a_stale_etag_is_refused_and_of_twenty_writers_one_wins(world: World) -> None:
    ada = await world.person("ada")
    etag = (await world.users.GetUser(GetUserRequest(user_id="me"), metadata=ada.metadata)).etag
    calls = (update(world, ada.metadata, "me", etag=etag, given_name=f"Ada {n}") for n in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, user_pb2.User)]
    assert len(won) == 1
    for answer in answers:
        assert answer is won[0] or assert_refusal(answer, "ETAG_MISMATCH", etag=won[0].etag)
    await assert_refused(update(world, ada.metadata, "me", etag=etag), "ETAG_MISMATCH", etag=won[0].etag)


async def test_bad_input_is_refused_by_the_name_of_its_field_and_changes_nothing(world: World) -> None:
    acme = await shop(world)
    user = await create(world, acme)
    for field, given in [*BAD, ("email", {"email": "a..b@c.example"})]:
        call = update(world, acme, user.user_id, **{"display_name": "New", **given})
        await assert_refused(call, "REQUEST_INVALID", violations={f"user.{field}": ""})
    await assert_refused(
        update(world, acme, user.user_id, ("state",)), "REQUEST_INVALID", violations={"update_mask": "must name only"}
    )
    assert await world.users.GetUser(GetUserRequest(user_id=user.user_id), metadata=acme) == user


async def test_an_address_and_a_phone_are_a_partners_to_set_and_a_persons_to_prove(world: World) -> None:
    acme, ada = await shop(world), await world.person("ada")
    operator = (await world.operator()).metadata
    for caller in (ada.metadata, operator):
        for field, value in (("email", world.email("new")), ("phone", "+43660123456")):
            call = update(world, caller, ada.user_id, **{field: value})
            await assert_refused(call, "CHANGE_NEEDS_VERIFICATION", field=field)
    await assert_refused(
        update(world, ada.metadata, "me", external_reference="7"), "REQUEST_INVALID",
        violations={"user.external_reference": "is set by partners"},
    )  # fmt: skip
    customer = await create(world, acme, external_reference="7")
    other = await world.users.CreateUser(CreateUserRequest(email=world.email("bob")), metadata=acme)
    changed = await update(world, acme, other.user_id, email=world.email("eve"), phone="+43660123456")
    assert (changed.email, changed.phone, changed.phone_verified) == (world.email("eve"), "+43660123456", False)
    await assert_refused(update(world, acme, other.user_id, email=customer.email.upper()), "EMAIL_TAKEN")
    await assert_refused(
        update(world, acme, other.user_id, external_reference="7"), "EXTERNAL_REFERENCE_TAKEN", external_reference="7"
    )


async def test_an_account_moves_between_its_states_and_no_other_way(world: World) -> None:
    operator, ada = (await world.operator()).metadata, await world.person("ada")
    moves = {
        "ACTIVE": {DeactivateUserRequest: "INACTIVE", LockUserRequest: "LOCKED"},
        "INACTIVE": {ReactivateUserRequest: "ACTIVE"},
        "LOCKED": {UnlockUserRequest: "ACTIVE"},
        "INITIAL": {},
    }
    refusals = {
        DeactivateUserRequest: "USER_NOT_ACTIVE", LockUserRequest: "USER_NOT_ACTIVE",
        ReactivateUserRequest: "USER_NOT_INACTIVE", UnlockUserRequest: "USER_NOT_LOCKED",
    }  # fmt: skip
    for state, legal in moves.items():
        for request, refusal in refusals.items():
            await world.rows("UPDATE users SET state = %(s)s WHERE user_id = %(u)s RETURNING 1", s=state, u=ada.user_id)
            rpc = getattr(world.users, request.__name__.removesuffix("Request"))
            call = rpc(request(user_id=ada.user_id), metadata=operator)
            if request in legal:
                assert (await call).state == user_pb2.UserState.Value(f"USER_STATE_{legal[request]}")
                event = (await world.events())[-1]
                audited = "SELECT 1 FROM audit_events WHERE action = %(action)s AND subject = %(subject)s"
                assert await world.rows(audited, action=event.type, subject=event.user_id) != []
                assert event.user_id == ada.user_id
            else:
                await assert_refused(call, refusal, user_id=ada.user_id, state=state)


@pytest.mark.parametrize("request_type", [DeactivateUserRequest, LockUserRequest])
async def test_who_is_closed_out_has_no_session_and_gets_none(world: World, request_type: Any) -> None:
    operator, ada = await world.operator(), await world.person("ada")
    rpc = getattr(world.users, request_type.__name__.removesuffix("Request"))
    await assert_refused(rpc(request_type(user_id=operator.user_id), metadata=operator.metadata), "LAST_ADMIN")
    await assert_refused(
        rpc(request_type(user_id=ada.user_id, etag="99"), metadata=operator.metadata), "ETAG_MISMATCH", etag="1"
    )
    await rpc(request_type(user_id=ada.user_id), metadata=operator.metadata)
    assert await world.rows("SELECT 1 FROM sessions WHERE user_id = %(u)s AND ended_at IS NULL", u=ada.user_id) == []
    assert [r.subject_id for r in await world.rows("SELECT subject_id FROM revocations")] == [ada.user_id]
    await assert_refused(world.sign_in(ada.email, ada.password), "CREDENTIALS_INVALID")


async def test_a_list_is_filtered_by_the_time_of_creation_and_by_several_states(
    world: World, clock: FixedClock
) -> None:
    acme = await shop(world)
    made = []
    for number in range(4):
        request = CreateUserRequest(email=world.email(f"u{number}"))
        made.append(await world.users.CreateUser(request, metadata=acme))
        clock.advance(timedelta(minutes=1))
    ids = [user.user_id for user in made]

    async def listed(**filters: Any) -> list[str]:
        reply = await world.users.ListUsers(ListUsersRequest(**filters), metadata=acme)
        return [user.user_id for user in reply.users]

    second, last = made[1].create_time, made[3].create_time
    assert await listed(create_time_from=second, create_time_to=last) == [ids[2], ids[1]]
    await world.users.DeactivateUser(DeactivateUserRequest(user_id=ids[1]), metadata=acme)
    await world.users.LockUser(LockUserRequest(user_id=ids[2]), metadata=acme)
    states = [user_pb2.USER_STATE_LOCKED, user_pb2.USER_STATE_INACTIVE]
    assert await listed(states=states) == [ids[2], ids[1]]
    assert await listed(states=[*states, *states]) == [ids[2], ids[1]]
    assert await listed(states=states, page_size=1) == [ids[2]]
    assert await listed(states=[user_pb2.USER_STATE_ACTIVE], create_time_to=last) == [ids[0]]
