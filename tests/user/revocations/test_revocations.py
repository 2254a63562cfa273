"""Who loses a right loses it everywhere within seconds: also where tokens are only verified, and over a broken network."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from weft.order.v1 import order_service_pb2, order_service_pb2_grpc
from weft.user.v1 import partner_pb2
from weft.user.v1.auth_service_pb2 import RefreshRequest, SignOutRequest
from weft.user.v1.partner_service_pb2 import (
    ReinstatePartnerRequest,
    RevokeClientRequest,
    SuspendPartnerRequest,
)
from weft.user.v1.user_service_pb2 import GetUserRequest

from chassis.security.revocations import Batch
from services.user.revocations.feed import RevocationFeed
from services.user.revocations.repository import MAX_ROWS, RevocationRepository
from tests import proxy
from tests.harness import Harness, Running, assert_refused, reason_of
from tests.proxy import Proxy
from tests.servers import until
from tests.user.conftest import Start
from tests.user.world import Metadata, Person, World, change

ORDER = "ord_01k00000000000000000000000"
WITHIN_S = 5.0
REPLACED_WITHIN_S = 15.0
"""Where a connection has gone silent, which is found out in three; a busy machine connects slowly."""


@dataclass
class Elsewhere:
    """An order service that knows the user service over a network of its own."""

    running: Running
    network: Proxy
    now: float = 0.0

    async def read(self, metadata: Metadata) -> str:
        """The reason of a call that only reads."""
        stub: Any = order_service_pb2_grpc.OrderServiceStub(self.running.channel)
        request = order_service_pb2.GetOrderRequest(order_id=ORDER)
        return await reason_of(stub.GetOrder(request, metadata=metadata, timeout=10))

    async def write(self, metadata: Metadata) -> str:
        """The reason of a call that would change something."""
        stub: Any = order_service_pb2_grpc.OrderServiceStub(self.running.channel)
        request = order_service_pb2.CancelOrderRequest(order_id=ORDER)
        return await reason_of(stub.CancelOrder(request, metadata=metadata, timeout=10))

    async def refuses(self, metadata: Metadata, seconds: float = WITHIN_S) -> None:
        """Wait until the token is refused."""

        async def is_refused() -> bool:
            return await self.read(metadata) == "TOKEN_REVOKED"

        await until(is_refused, "the token to be refused", seconds)


@asynccontextmanager
async def elsewhere(harness: Harness, user: Running) -> AsyncIterator[Elsewhere]:
    host, _, port = user.address.rpartition(":")
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(proxy.serving(host, int(port)))
        peers = {"user": [f"127.0.0.1:{network.port}"]}
        running = await stack.enter_async_context(harness.running("order", fetches_keys=True, peers=peers, work=False))
        yield Elsewhere(running, network)


def bearer(token: str) -> Metadata:
    return [("authorization", f"Bearer {token}")]


async def _signs_out(world: World, person: Person) -> None:
    await world.auth.SignOut(SignOutRequest(), metadata=person.metadata)


async def _has_a_refresh_token_revoked(world: World, person: Person) -> None:
    assert (await world.revoke(token=person.tokens.refresh_token)).status == 200


@pytest.mark.parametrize("loses", [_signs_out, _has_a_refresh_token_revoked])
async def test_a_session_that_ends_takes_its_tokens_along(
    world: World, harness: Harness, loses: Callable[[World, Person], Awaitable[None]]
) -> None:
    person = await world.person("ada")
    other = await world.sign_in(person.email, person.password)
    async with elsewhere(harness, world.running) as order:
        assert await order.write(person.metadata) == "ORDER_NOT_FOUND"
        await loses(world, person)
        await order.refuses(person.metadata)
        assert await order.write(person.metadata) == "TOKEN_REVOKED"
        assert await order.write(bearer(other.access_token)) == "ORDER_NOT_FOUND"

        async def refused_here() -> bool:
            try:
                await world.users.GetUser(GetUserRequest(user_id="me"), metadata=person.metadata)
            except Exception:
                return True
            return False

        await until(refused_here, "the user service to refuse it, too", WITHIN_S)
        again = await world.sign_in(person.email, person.password)
        assert await order.write(bearer(again.access_token)) == "ORDER_NOT_FOUND"


async def test_what_ends_on_one_replica_is_heard_of_from_another(start: Start, world: World, harness: Harness) -> None:
    person = await world.person("ada")
    async with start(prefix=world.app.settings.database_prefix) as other, elsewhere(harness, other.running) as order:
        assert await order.write(person.metadata) == "ORDER_NOT_FOUND"
        await world.auth.SignOut(SignOutRequest(), metadata=person.metadata)
        await order.refuses(person.metadata)


async def _suspend(world: World, operator: Person, partner: partner_pb2.Partner, _: str) -> None:
    named = {"partner_id": partner.partner_id}
    await world.partners.SuspendPartner(SuspendPartnerRequest(**named), metadata=operator.metadata)


async def _withdraw(world: World, operator: Person, partner: partner_pb2.Partner, _: str) -> None:
    await change(world, operator, partner, ["scopes"], scopes=["orders.read"])


async def _revoke(world: World, operator: Person, partner: partner_pb2.Partner, client_id: str) -> None:
    request = RevokeClientRequest(partner_id=partner.partner_id, client_id=client_id)
    await world.partners.RevokeClient(request, metadata=operator.metadata)


@pytest.mark.parametrize("lose", [_suspend, _withdraw, _revoke])
async def test_a_partner_that_loses_a_right_loses_its_tokens(world: World, harness: Harness, lose: Any) -> None:
    operator = await world.operator()
    scopes = "orders.read orders.write"
    partner, bystander = await world.partner(operator, scopes=scopes), await world.partner(operator, "B", scopes)
    client = await world.client(operator, partner)
    token = await world.client_metadata(client)
    theirs = await world.client_metadata(await world.client(operator, bystander))
    async with elsewhere(harness, world.running) as order:
        assert await order.write(token) == "ORDER_NOT_FOUND"
        await lose(world, operator, partner, client.client_id)
        await order.refuses(token)
        assert await order.write(theirs) == "ORDER_NOT_FOUND"
        if lose is _suspend:
            named = ReinstatePartnerRequest(partner_id=partner.partner_id)
            await world.partners.ReinstatePartner(named, metadata=operator.metadata)
            assert await order.write(token) == "TOKEN_REVOKED"
        if lose is not _revoke:  # in the same second, and it counts
            fresh = await world.client_metadata(client)
            assert await order.read(fresh) == "ORDER_NOT_FOUND"


async def test_what_gives_a_partner_more_revokes_nothing(world: World) -> None:
    operator = await world.operator()
    partner = await world.partner(operator, scopes="orders.read")
    await change(world, operator, partner, ["scopes"], scopes=["orders.read", "orders.write"])
    assert await world.rows("SELECT * FROM revocations") == []


async def test_a_connection_that_goes_silent_or_breaks_is_replaced_within_seconds(
    world: World, harness: Harness
) -> None:
    person = await world.person("ada")
    others = [(await world.sign_in(person.email, person.password)).access_token for _ in range(2)]
    async with elsewhere(harness, world.running) as order:
        assert await order.write(person.metadata) == "ORDER_NOT_FOUND"
        for cut, token in ((order.network.mute, others[0]), (order.network.close, others[1])):
            cut()
            begun = time.monotonic()
            await world.auth.SignOut(SignOutRequest(), metadata=bearer(token))
            await order.refuses(bearer(token), REPLACED_WITHIN_S)
            assert time.monotonic() - begun < REPLACED_WITHIN_S
        assert await order.write(person.metadata) == "ORDER_NOT_FOUND"


async def test_without_the_user_service_for_a_minute_nothing_is_changed_until_it_is_back(
    start: Start, harness: Harness
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(start())
        prefix, address = first.app.settings.database_prefix, first.running.address
        person = await first.person("ada")
        other = await first.sign_in(person.email, person.password)
        order = await stack.enter_async_context(elsewhere(harness, first.running))
        revocations = order.running.app.revocations
        revocations.monotonic = lambda: order.now
        assert await order.write(person.metadata) == "ORDER_NOT_FOUND"
        async with start(prefix=prefix) as second:
            await first.app.stop()
            order.network.close()
            # Someone signs out where the order service does not hear of it.
            await second.auth.SignOut(SignOutRequest(), metadata=bearer(other.access_token))
            order.now = 61.0
            assert await order.write(person.metadata) == "REVOCATIONS_UNAVAILABLE"
            assert await order.read(person.metadata) == "ORDER_NOT_FOUND"
        async with start(prefix=prefix, listen=address):
            await order.refuses(bearer(other.access_token))

            async def writes() -> bool:
                return await order.write(person.metadata) == "ORDER_NOT_FOUND"

            await until(writes, "writes to be taken again")


async def test_reuse_of_a_refresh_token_revokes_the_access_tokens_of_both(world: World, harness: Harness) -> None:
    person = await world.person("ada")
    second = await world.auth.Refresh(RefreshRequest(refresh_token=person.tokens.refresh_token))
    thief = await world.auth.Refresh(RefreshRequest(refresh_token=second.refresh_token))
    async with elsewhere(harness, world.running) as order:
        reused = RefreshRequest(refresh_token=person.tokens.refresh_token)
        await assert_refused(world.auth.Refresh(reused), "REFRESH_TOKEN_INVALID")
        await order.refuses(person.metadata)
        await order.refuses(bearer(thief.access_token))


class Follower:
    """Reads a feed: the subjects that it was told of, in order."""

    def __init__(self, feed: RevocationFeed, cursor: str = "") -> None:
        self.feed, self.cursor = feed, cursor
        self.subjects: list[str] = []
        self.batches = 0

    async def read(self, batches: int) -> list[str]:
        """Of so many batches."""
        async with aclosing(self.feed.follow(self.cursor)) as feed:
            async for batch in feed:
                self.take(batch)
                if self.batches >= batches:
                    return self.subjects
        raise AssertionError("the feed ended")

    def take(self, batch: Batch) -> None:
        self.batches += 1
        self.cursor = batch.cursor
        self.subjects += [revocation.subject for revocation in batch.revocations]


async def test_a_revocation_that_commits_late_is_not_passed_over(world: World) -> None:
    database, revocations = world.app.database, RevocationRepository(world.app.database, world.clock)
    follower = Follower(RevocationFeed(revocations))
    reading = asyncio.create_task(follower.read(4))
    async with database.transaction() as slow:
        await revocations.revoke(slow, "session", "ses_slow")
        async with database.transaction() as quick:
            await revocations.revoke(quick, "session", "ses_quick_1", "ses_quick_2")

        async def is_told() -> bool:
            return len(follower.subjects) == 2

        await until(is_told, "what is committed to be read, although an older transaction still runs")
        assert follower.cursor == ""  # nothing is settled before the older one
    assert await reading == ["ses_quick_1", "ses_quick_2", "ses_slow"]
    assert follower.cursor
    again = Follower(follower.feed, follower.cursor)
    assert await again.read(1) == []
    for unknown in ("1.1.1", "made up", f"{2**62}.1.1"):
        assert len(await Follower(follower.feed, unknown).read(1)) == 3


async def test_a_long_list_comes_in_parts_and_once(world: World) -> None:
    database, revocations = world.app.database, RevocationRepository(world.app.database, world.clock)
    names = [f"ses_{n:04}" for n in range(2 * MAX_ROWS + 1)]
    async with database.transaction() as tx:
        await revocations.revoke(tx, "session", *names)
    follower = Follower(RevocationFeed(revocations))
    assert sorted(await follower.read(3)) == names


async def test_a_revocation_is_kept_until_the_last_token_that_it_refuses_has_expired(world: World) -> None:
    person = await world.person("ada")
    expiry = (await world.claims(person.tokens.access_token))["exp"]
    await world.auth.SignOut(SignOutRequest(), metadata=person.metadata)
    (row,) = await world.rows("SELECT expires_at FROM revocations")
    assert row.expires_at.timestamp() >= expiry + timedelta(minutes=2).total_seconds()  # skew on either side
