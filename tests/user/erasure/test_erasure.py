"""A person is erased from all three services: each runs here, on sockets of its own."""

import asyncio
from datetime import timedelta
from typing import Any

from weft.api.v1 import scope_pb2
from weft.notification.v1 import personal_data_service_pb2_grpc
from weft.notification.v1.personal_data_service_pb2 import ErasePersonalDataRequest, ReadPersonalDataRequest
from weft.user.v1 import user_pb2
from weft.user.v1.member_pb2 import InviteMemberRequest
from weft.user.v1.partner_service_pb2 import SuspendPartnerRequest
from weft.user.v1.password_pb2 import RequestPasswordResetRequest
from weft.user.v1.personal_data_pb2 import DeleteUserRequest, ExportUserDataRequest
from weft.user.v1.user_changes_pb2 import LockUserRequest
from weft.user.v1.user_roles_pb2 import SetUserRolesRequest
from weft.user.v1.user_service_pb2 import BatchGetUsersRequest, GetUserRequest, ListUsersRequest

import contract
from chassis import ids
from chassis.clock import FixedClock
from services.notification import tables as notification_tables
from services.user import tables as user_tables
from services.user.__main__ import build
from services.user.erasure.worker import SERVICES
from tests.harness import Harness, Running, assert_refused
from tests.notification import sample_events
from tests.servers import until
from tests.user.erasure.mesh import Mesh
from tests.user.users.calls import HOME, create, shop, update
from tests.user.world import Person

from weft.notification.v1 import event_service_pb2, event_service_pb2_grpc  # isort: skip
from weft.user.v1.address_pb2 import PostalAddress  # isort: skip


async def work(running: Running) -> None:
    """Let the erasure worker do what is due."""
    worker = next(worker for worker in running.app._workers if worker.queue.name == "erasure_jobs")
    while await worker.once():
        pass


async def delete(mesh: Mesh, person: Person, user_id: str = "me", metadata: Any = None) -> None:
    await mesh.world.users.DeleteUser(DeleteUserRequest(user_id=user_id), metadata=metadata or person.metadata)


def test_every_service_that_can_erase_a_person_is_asked_to() -> None:
    erasing = {method.package.split(".")[1] for method in contract.load().methods if method.name.startswith("Erase")}
    assert sorted(SERVICES) == sorted({"user", *erasing})


async def test_who_is_erased_is_gone_everywhere_and_the_pseudonym_leads_nowhere(mesh: Mesh, clock: FixedClock) -> None:
    world = mesh.world
    operator, ada = await world.operator(), await world.person("ada")
    await update(world, ada.metadata, "me", given_name="Adamark", addresses=[PostalAddress(**HOME)])
    order_id = await mesh.order_of(ada)
    await until(lambda: mesh.has_notified(ada, order_id), "the notification to arrive")
    await delete(mesh, ada)
    await work(mesh.world.running)

    (order,) = await mesh.rows(mesh.order, "SELECT customer_id, note FROM orders")
    pseudonym = order.customer_id
    assert (order.note, pseudonym != ada.user_id, pseudonym.startswith("usr_")) == ("", True, True)
    assert (await world.users.BatchGetUsers(BatchGetUsersRequest(user_ids=[pseudonym, ada.user_id]))).users == []
    for user_id in (pseudonym, ada.user_id):
        await assert_refused(
            world.users.GetUser(GetUserRequest(user_id=user_id), metadata=operator.metadata), "USER_NOT_FOUND"
        )
    (row,) = await world.rows("SELECT users::text AS u FROM users WHERE user_id = %(u)s", u=ada.user_id)
    left = await mesh.everything()
    assert left.count(ada.user_id) == 1, "the tombstone alone"
    for mark in (ada.email, "Adamark", "Neighbourmark", "Herrengasse"):
        assert mark not in left
        assert mark not in row.u
    states = [user_pb2.USER_STATE_DELETED]
    (tomb,) = (await world.users.ListUsers(ListUsersRequest(states=states), metadata=operator.metadata)).users
    assert (tomb.user_id, tomb.email, tomb.display_name, list(tomb.roles)) == (ada.user_id, "", "", [])
    assert [event.type for event in await world.events() if event.user_id == ada.user_id][-1] == "user.erased"

    # Again, by whoever may: the same answer, and no second event.
    await delete(mesh, operator, ada.user_id)
    assert [event.type for event in await world.events()].count("user.erased") == 1
    # The address is free.
    again = await world.person("ada")
    assert again.user_id != ada.user_id


async def test_nothing_leads_from_the_pseudonym_to_the_person(mesh: Mesh, clock: FixedClock) -> None:
    ada = await mesh.world.person("ada")
    order_id = await mesh.order_of(ada)
    await until(lambda: mesh.has_notified(ada, order_id), "the notification to arrive")
    publish: Any = event_service_pb2_grpc.EventServiceStub(mesh.notification.channel)

    async def tell_partner(number: int) -> None:
        event = sample_events.placed(ada.user_id, f"{order_id[:-1]}{number}")
        event.partner_id = "prt_mark"
        await publish.PublishEvents(event_service_pb2.PublishEventsRequest(events=[event]))

    await tell_partner(1)
    for running, queue in ((mesh.notification, "event_jobs"), (mesh.order, "outbox"), (mesh.world.running, "outbox")):
        dead = f"INSERT INTO {queue} (kind, payload, state, due, created_at, finished_at) VALUES ('x', %(p)s, 'dead', now(), now(), now()) RETURNING id"
        await mesh.rows(running, dead, p=sample_events.placed(ada.user_id, order_id).SerializeToString())
    await mesh.rows(mesh.order, "INSERT INTO payment_refunds SELECT 'ref_1', payment_id, order_id, 1, 'SUCCEEDED', "
                    "'Mrs Neighbourmark', '', '', %(u)s, now(), now() FROM orders RETURNING 1", u=ada.user_id)  # fmt: skip
    await delete(mesh, ada)
    await work(mesh.world.running)
    (order,) = await mesh.rows(mesh.order, "SELECT customer_id, version FROM orders")
    jobs = await mesh.world.rows("SELECT payload FROM erasure_jobs WHERE state = 'done'")
    assert {bytes(job.payload) for job in jobs} == {b""}, "who had the pseudonym"

    # A cancellation that had read the order before, and an event that was long on its way.
    late = {"p": order.customer_id, "u": ada.user_id, "v": order.version + 1, "o": order_id}
    await mesh.rows(mesh.order, "UPDATE orders SET reason = 'Neighbourmark', version = %(v)s, returns = "
                    "'[{\"id\": \"rtn_1\", \"reason\": \"Neighbourmark\"}]' WHERE order_id = %(o)s RETURNING 1", **late)  # fmt: skip
    await mesh.rows(mesh.order, "INSERT INTO order_changes (order_id, version, customer_id, partner_id, mode, state, payment_state, "
                    "reason, cause, actor, changed_at, change) VALUES (%(o)s, %(v)s, %(p)s, '', 'LIVE', 'CANCELLED', 'VOIDED', "
                    "'Neighbourmark', 'Neighbourmark', %(u)s, now(), 'order.cancelled') RETURNING 1", **late)  # fmt: skip
    await tell_partner(2)
    clock.advance(timedelta(minutes=21))
    await work(mesh.world.running)
    told = await mesh.rows(mesh.notification, "SELECT user_id FROM partner_events")
    assert [row.user_id for row in told] == ["", ""]
    waiting = " WHERE state <> 'ready'"
    for running, names in (
        (mesh.order, None),
        (mesh.notification, None),
        (mesh.world.running, {"outbox", "erasure_jobs"}),
    ):
        for table in running.app.metadata.sorted_tables:
            if table.name in (names or {table.name}) and table.name != "erased_persons":
                which = waiting if "queue" in table.info else ""
                text = str(await mesh.rows(running, f"SELECT {table.name}::text FROM {table.name}{which}"))
                for mark in (ada.user_id, ada.user_id.encode().hex(), "Neighbourmark"):
                    assert mark not in text.replace(f"{ada.user_id}/", ""), (table.name, mark)


async def test_what_comes_late_recreates_nothing(mesh: Mesh, clock: FixedClock) -> None:
    ada = await mesh.world.person("ada")
    await delete(mesh, ada)
    await work(mesh.world.running)
    order_id = await mesh.order_of(ada)  # with a token that is still valid there
    publish: Any = event_service_pb2_grpc.EventServiceStub(mesh.notification.channel)
    other = ids.new("usr")
    await publish.PublishEvents(event_service_pb2.PublishEventsRequest(events=[sample_events.placed(other, order_id)]))
    await until(lambda: _is_listed(mesh, other), "a later event to be processed")
    assert await mesh.rows(mesh.notification, "SELECT 1 FROM notifications WHERE user_id = %(u)s", u=ada.user_id) == []
    clock.advance(timedelta(minutes=21))
    await work(mesh.world.running)
    rows = await mesh.rows(mesh.order, "SELECT customer_id FROM orders UNION ALL SELECT customer_id FROM order_changes")
    assert rows != []
    assert ada.user_id not in [row.customer_id for row in rows]


async def _is_listed(mesh: Mesh, user_id: str) -> bool:
    return bool(await mesh.inbox(user_id))


async def test_a_service_that_is_away_is_asked_until_it_answers(
    mesh: Mesh, harness: Harness, clock: FixedClock
) -> None:
    ada = await mesh.world.person("ada")
    order_id = await mesh.order_of(ada)
    await mesh.order.app._server.stop(0)
    await delete(mesh, ada)
    await work(mesh.world.running)
    ready = await mesh.world.rows(
        "SELECT kind, error FROM erasure_jobs WHERE state = 'ready' AND key NOT LIKE '%%late'"
    )
    assert [row.kind for row in ready] == ["order"]
    # It is another process that goes on: as after kill -9.
    prefix = mesh.order.app.settings.database_prefix
    async with harness.running("order", prefix=prefix, work=False) as order:
        peers = {"order": [order.address], "notification": [mesh.notification.address]}
        user_prefix = mesh.world.app.settings.database_prefix
        clock.advance(timedelta(minutes=6))
        async with harness.running("user", build, clock, prefix=user_prefix, peers=peers, work=False) as again:
            await work(again)
        (row,) = await mesh.rows(order, "SELECT customer_id FROM orders WHERE order_id = %(o)s", o=order_id)
        assert row.customer_id != ada.user_id


async def test_what_strangers_asked_for_at_the_address_goes_with_it(mesh: Mesh) -> None:
    world, ada = mesh.world, await mesh.world.person("ada")
    await world.auth.RequestPasswordReset(RequestPasswordResetRequest(email=ada.email), metadata=world.at())
    operator = await world.operator()
    partner = await world.partner(operator)
    invite = InviteMemberRequest(partner_id=partner.partner_id, email=ada.email, role=scope_pb2.MEMBER_ROLE_VIEWER)
    await world.partners.InviteMember(invite, metadata=operator.metadata)
    assert len(await world.rows("SELECT 1 FROM code_requests")) == 2
    await delete(mesh, ada)
    assert await world.rows("SELECT 1 FROM code_requests") == []


async def test_the_last_owner_of_a_partner_stays_until_it_is_suspended(mesh: Mesh) -> None:
    world, ada, eve = mesh.world, await mesh.world.person("ada"), await mesh.world.person("eve")
    operator = await world.operator()
    partner = await world.partner(operator)
    for person in (ada, eve):
        await world.rows(
            "INSERT INTO members (partner_id, user_id, member_id, role, created_at) "
            "VALUES (%(p)s, %(u)s, %(m)s, 'owner', now()) RETURNING 1",
            p=partner.partner_id, u=person.user_id, m=ids.new("mbr"),
        )  # fmt: skip
    outcomes = await asyncio.gather(delete(mesh, ada), delete(mesh, eve), return_exceptions=True)
    assert sorted(isinstance(outcome, Exception) for outcome in outcomes) == [False, True]
    last = ada if isinstance(outcomes[0], Exception) else eve
    await assert_refused(delete(mesh, last), "LAST_OWNER_STAYS", partner_id=partner.partner_id)
    await assert_refused(delete(mesh, operator, last.user_id), "LAST_OWNER_STAYS", partner_id=partner.partner_id)
    suspend = SuspendPartnerRequest(partner_id=partner.partner_id)
    await world.partners.SuspendPartner(suspend, metadata=operator.metadata)
    await delete(mesh, last)
    assert await world.rows("SELECT 1 FROM members") == []


async def test_twenty_erasures_at_once_are_one_and_a_session_is_not_opened_again(mesh: Mesh) -> None:
    world, ada = mesh.world, await mesh.world.person("ada")
    operator = await world.operator()
    calls = [delete(mesh, operator, ada.user_id) for _ in range(20)]
    signs = [world.sign_in(ada.email, ada.password) for _ in range(3)]
    await asyncio.gather(*calls, *signs, update(world, ada.metadata, "me", given_name="Late"), return_exceptions=True)
    assert [event.type for event in await world.events()].count("user.erased") == 1
    (row,) = await world.rows("SELECT state, profile_sealed FROM users WHERE user_id = %(u)s", u=ada.user_id)
    assert tuple(row) == ("DELETED", None)
    await assert_refused(world.sign_in(ada.email, ada.password), "CREDENTIALS_INVALID")


async def test_who_may_erase_and_when(mesh: Mesh, clock: FixedClock) -> None:
    world = mesh.world
    operator, ada, bob = await world.operator(), await world.person("ada"), await world.person("bob")
    await assert_refused(delete(mesh, ada, bob.user_id), "USER_NOT_FOUND")
    await assert_refused(delete(mesh, operator), "LAST_ADMIN")
    customer = await create(world, await shop(world))
    await delete(mesh, operator, customer.user_id)
    clock.advance(timedelta(minutes=11))
    await assert_refused(delete(mesh, ada), "REAUTHENTICATION_REQUIRED")
    export = world.users.ExportUserData(ExportUserDataRequest(user_id="me"), metadata=ada.metadata)
    await assert_refused(export, "REAUTHENTICATION_REQUIRED")


async def test_only_the_user_service_may_ask(mesh: Mesh) -> None:
    for identity in ("edge", "order"):
        channel = mesh.harness.channel("notification", mesh.notification.address, identity)
        stub: Any = personal_data_service_pb2_grpc.PersonalDataServiceStub(channel)
        user_id = ids.new("usr")
        calls = (
            stub.ErasePersonalData(ErasePersonalDataRequest(user_id=user_id)),
            stub.ReadPersonalData(ReadPersonalDataRequest(user_id=user_id, limit=1)),
        )
        for call in calls:
            await assert_refused(call, "CALLER_NOT_ALLOWED")
        await channel.close()


def test_whatever_belongs_to_a_person_is_erased_with_them() -> None:
    # Anonymised, deleted in parts, the mark itself, what the release before wrote, which ends within a day, and the log of
    # partners, which loses the person.
    of_their_own = {"users", "notifications", "erased_persons", "verification_codes", "partner_events"}
    for metadata in (user_tables.metadata, notification_tables.metadata):
        for table in metadata.sorted_tables:
            if "user_id" in table.columns and table.name not in of_their_own:
                assert table.info.get("owner") == ("user_id",), f"{table.name}: say who erases its rows"


async def test_an_operator_does_not_close_or_erase_the_account_of_another_without_being_an_admin(mesh: Mesh) -> None:
    world, boss, ada = mesh.world, await mesh.world.operator(), await mesh.world.person("ada")
    roles = [scope_pb2.ROLE_OPERATOR]
    await world.users.SetUserRoles(SetUserRolesRequest(user_id=ada.user_id, roles=roles), metadata=boss.metadata)
    ada.tokens = await world.sign_in(ada.email, ada.password)
    bob = await world.person("bob")
    await world.users.SetUserRoles(SetUserRolesRequest(user_id=bob.user_id, roles=roles), metadata=boss.metadata)
    await assert_refused(delete(mesh, ada, bob.user_id), "SCOPE_MISSING", scope="users.admin")
    lock = world.users.LockUser(LockUserRequest(user_id=bob.user_id), metadata=ada.metadata)
    await assert_refused(lock, "SCOPE_MISSING", scope="users.admin")
    await delete(mesh, boss, bob.user_id)
    await delete(mesh, ada)
