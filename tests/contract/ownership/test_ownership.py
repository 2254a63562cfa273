"""The ownership matrix: derived from `owner`, over the wire, of every service; a new RPC is in it without being named."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from weft.notification.v1 import inbox_service_pb2, inbox_service_pb2_grpc

from contract import Method
from deploy.local.state.certificates import Certificates
from tests.contract.ownership import ownership
from tests.contract.ownership.ownership import OWNED, World
from tests.contract.ownership.worlds import WORLDS
from tests.harness import Harness, Issuer

COUNTED = {
    "weft.notification.v1.InboxService.CountUnread",
    "weft.notification.v1.InboxService.MarkRead",
    "weft.notification.v1.NotificationService.RetryDeliveries",
    "weft.notification.v1.NotificationService.ListCaptured",
}
"""They answer without the id of anything, or of what is in one mode; tests of their own count."""


def test_every_service_whose_rpcs_have_owners_has_a_world() -> None:
    missing = {method.package.split(".")[1] for method in OWNED if method.package not in WORLDS}
    assert not missing, [f"write `world(harness)` in tests/{service}/ownership_world.py" for service in sorted(missing)]
    assert {method.package for method in OWNED} == set(WORLDS)
    assert {method.full_name for method in OWNED} >= COUNTED


@pytest.fixture(scope="module")
async def world(
    request: pytest.FixtureRequest,
    postgres_url: str,
    valkey_url: str,
    certificates: Certificates,
    issuer: Issuer,
    cloning: Callable[[], AbstractContextManager[Callable[[str], str]]],
) -> AsyncIterator[World]:
    """The world of a package, in which all tests of the module call. Those that change what is called come last."""
    with cloning() as clone:
        async with WORLDS[request.param](Harness(postgres_url, valkey_url, certificates, issuer, clone)) as world:
            yield world


def of_every_package(test: Any) -> Any:
    """`package` and its `world`."""
    each = [pytest.param(package, package, id=package) for package in WORLDS]
    return pytest.mark.parametrize(("world", "package"), each, indirect=["world"], scope="module")(test)


@of_every_package
async def test_lists_and_streams_hold_what_is_the_callers(world: World, package: str) -> None:
    for method in ownership.filtered(package):
        if method.full_name not in COUNTED:
            await (ownership.check_stream if ownership.is_endless(method) else ownership.check_list)(world, method)


@of_every_package
async def test_who_may_not_call_is_refused_where_nothing_is_owned(world: World, package: str) -> None:
    for method in ownership.ownerless(package):
        await ownership.check_callers(world, method)


@pytest.mark.parametrize("world", ["weft.notification.v1"], indirect=True, scope="module")
async def test_an_inbox_counts_and_marks_what_is_the_callers(world: World) -> None:
    inbox: Any = inbox_service_pb2_grpc.InboxServiceStub(world.running.channel)
    tokens = {actor.group: [("authorization", actor.token)] for actor in world.actors if actor.group}

    async def unread(group: str) -> int:
        return (await inbox.CountUnread(inbox_service_pb2.CountUnreadRequest(), metadata=tokens[group])).count

    ann, bob = await unread("ann"), await unread("bob")
    made = [await world.create(group) for group in ("ann", "ann", "bob")]
    assert (await unread("ann") - ann, await unread("bob") - bob) == (2, 1)
    everything = inbox_service_pb2.MarkReadRequest(notification_ids=[one["notification_id"] for one in made])
    await inbox.MarkRead(everything, metadata=tokens["bob"])
    assert (await unread("ann") - ann, await unread("bob") - bob) == (2, 0)


@of_every_package
async def test_strangers_learn_nothing_of_what_a_request_names(world: World, package: str) -> None:
    for method in ownership.owned_by_field(package):
        await ownership.check_field(world, method)


def test_the_matrix_knows_every_rpc_with_an_owner() -> None:
    covered: list[Method] = []
    for package in WORLDS:
        covered += [*ownership.owned_by_field(package), *ownership.filtered(package)]
    assert sorted(method.full_name for method in covered) == sorted(method.full_name for method in OWNED)
