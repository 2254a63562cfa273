"""The chain over a real socket: what happens to a call before and after its handler."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from chassis import errors
from chassis.app import App
from chassis.rpc import chain
from chassis.rpc.call import Call
from chassis.security.identity import from_claims
from chassis.storage.database import Query
from tests.chassis.probe import contract as pb
from tests.chassis.probe.service import ITEM, USER, Items, serving, stream, unary
from tests.harness import Harness, Issuer, Running, assert_refusal, assert_refused
from tests.servers import until

KEPT = Query("SELECT count(*) AS n FROM idempotency")


class Handlers(Items):
    """Show what reached them."""

    def __init__(self, app: App) -> None:
        self.database = app.database
        self.runs, self.ended = 0, 0
        self.released = asyncio.Event()
        self.released.set()

    async def CreateItem(self, request: Any, call: Call) -> Any:
        self.runs += 1
        run = self.runs
        await self.released.wait()
        reply = pb.Item(item_id=ITEM, title=f"{request.title} {run}")
        async with self.database.transaction() as tx:
            await call.remember(tx, reply)
        return reply

    async def GetItem(self, request: Any, call: Call) -> Any:
        return pb.Item(item_id=request.item_id, user_id=call.caller.user_id)

    async def PeekItem(self, request: Any, call: Call) -> Any:
        raise ZeroDivisionError("postgresql://role:password@host")

    async def ListItems(self, request: Any, call: Call) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1

    async def UpdateItem(self, request: Any, call: Call) -> Any:
        raise errors.EtagMismatch(etag="e1")

    async def AdjustItem(self, request: Any, call: Call) -> Any:
        self.runs += 1
        reply = pb.Item(item_id=ITEM, title=f"run {self.runs}")
        async with self.database.transaction() as tx:
            await call.remember(tx, reply)
        return reply

    async def WatchItems(self, request: Any, call: Call) -> AsyncIterator[Any]:
        for n in range(3):
            yield pb.WatchItemsResponse(cursor=str(n))


class Fixture:
    """The running probe with those handlers, and short ways to call it."""

    def __init__(self, running: Running, handlers: Handlers, issuer: Issuer) -> None:
        self.running, self.handlers, self.issuer = running, handlers, issuer
        self.operator = issuer.operator(USER, "products.write orders.read")

    def call(self, rpc: str, request: Any, authorization: str = "", timeout: float | None = 10, **headers: str) -> Any:
        metadata = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if authorization:
            metadata.append(("authorization", authorization))
        return unary(self.running, rpc)(request, metadata=metadata, timeout=timeout)

    def create(self, title: str = "Tea", **headers: str) -> Any:
        return self.call("CreateItem", pb.CreateItemRequest(title=title), self.operator, **headers)

    def get(self, authorization: str = "") -> Any:
        return self.call("GetItem", pb.GetItemRequest(item_id=ITEM), authorization)


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[Fixture]:
    kept: list[Handlers] = []

    def handlers(app: App) -> Handlers:
        kept.append(Handlers(app))
        return kept[0]

    async with serving(harness, handlers) as running:
        yield Fixture(running, kept[0], harness.issuer)


def test_the_order_of_the_chain_is_the_one_that_its_reasons_ask_for() -> None:
    assert [stage.__name__ for stage in chain.CHAIN] == [
        "telemetry", "error_mapping", "admission", "authentication", "authorization", "stream_quota", "validation", "response",
        "idempotency",
    ]  # fmt: skip


INVALID_CLAIMS = ({"iss": "https://elsewhere"}, {"aud": "other"}, {"sub": ""})


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (lambda issuer: "", "TOKEN_MISSING"),
        (lambda issuer: "Bearer a.b.c", "TOKEN_INVALID"),
        (lambda issuer: "Basic YTpi", "TOKEN_INVALID"),
        (lambda issuer: issuer.token(USER, "orders.read", lifetime=-61), "TOKEN_EXPIRED"),
        (lambda issuer: Issuer().token(USER, "orders.read"), "TOKEN_INVALID"),
        *(
            (lambda issuer, c=claims: issuer.token(**{"sub": USER, "scopes": "orders.read", **c}), "TOKEN_INVALID")
            for claims in INVALID_CLAIMS
        ),
    ],
    ids=["none", "no token", "another scheme", "expired", "another issuer's", "issuer", "audience", "subject"],
)
async def test_a_token_that_is_not_valid_is_refused(
    service: Fixture, token: Callable[[Issuer], str], reason: str
) -> None:
    await assert_refused(service.get(token(service.issuer)), reason)


async def test_a_valid_token_says_who_calls(service: Fixture) -> None:
    assert (await service.get(service.issuer.user(USER))).user_id == USER


async def test_callers_and_scopes_are_those_of_the_contract(service: Fixture) -> None:
    customer = service.issuer.user(USER)
    create = service.call("CreateItem", pb.CreateItemRequest(title="Tea"), customer)
    await assert_refused(create, "CALLER_NOT_ALLOWED", callers="OPERATOR, PARTNER")
    await assert_refused(service.get(service.issuer.user(USER, "users.read")), "SCOPE_MISSING", scope="orders.read")


async def test_every_violation_is_named_at_once(service: Fixture) -> None:
    request = pb.CreateItemRequest(title="", weight=-1, parts=[{"part_id": "x", "quantity": 1}])
    await assert_refused(
        service.call("CreateItem", request, service.operator),
        "REQUEST_INVALID",
        violations={"title": "at least 1", "weight": "greater than or equal to 0", "parts[0].part_id": "must be an id"},
    )


@pytest.mark.logs_errors("call_failed")
async def test_an_unknown_exception_tells_nothing_but_the_request_id(service: Fixture) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await service.call("PeekItem", pb.GetItemRequest(item_id=ITEM), x_request_id="req-1")
    assert_refusal(caught.value, "INTERNAL_FAULT")
    trailers = dict(caught.value.trailing_metadata())
    assert b"req-1" in trailers["grpc-status-details-bin"]
    assert "password" not in repr(caught.value)
    assert b"password" not in trailers["grpc-status-details-bin"]


async def test_typed_errors_carry_their_metadata(service: Fixture) -> None:
    found = await assert_refused(
        service.call("UpdateItem", pb.UpdateItemRequest(), service.operator), "ETAG_MISMATCH", etag="e1"
    )
    assert (found.domain, found.retry_after) == ("weft.api.v1", None)


async def test_a_call_ends_at_its_deadline_and_its_handler_with_it(service: Fixture) -> None:
    await assert_refused(service.call("UpdateItem", pb.UpdateItemRequest(), service.operator), "ETAG_MISMATCH")
    with pytest.raises(grpc.RpcError) as caught:
        await service.call("ListItems", pb.ListItemsRequest(), timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    async def has_ended() -> bool:
        return service.handlers.ended == 1

    await until(has_ended, "the handler to end")


async def test_creation_answers_201_with_the_location_of_what_was_created(service: Fixture) -> None:
    call = service.create()
    await call
    headers = dict(await call.initial_metadata())
    assert (headers["x-http-status"], headers["location"]) == ("201", f"/v1/items/{ITEM}")


async def test_a_repeated_key_gets_the_first_reply(service: Fixture) -> None:
    first = await service.create(idempotency_key="k1")
    again = service.create(idempotency_key="k1")
    assert await again == first
    assert dict(await again.initial_metadata())["idempotency-replayed"] == "true"
    assert dict(await again.initial_metadata())["location"] == f"/v1/items/{ITEM}"
    assert (await service.running.app.database.one(KEPT)).n == 1


async def test_a_key_with_another_request_is_refused_by_name(service: Fixture) -> None:
    await service.create("Tea", idempotency_key="k1")
    await assert_refused(service.create("Coffee", idempotency_key="k1"), "IDEMPOTENCY_KEY_REUSED")


async def test_concurrent_calls_with_one_key_run_once_and_agree(service: Fixture) -> None:
    service.handlers.released.clear()
    calls = [asyncio.ensure_future(_awaited(service.create(idempotency_key="k1"))) for _ in range(20)]

    async def is_running() -> bool:
        return service.handlers.runs == 1

    await until(is_running, "the first call to run")
    service.handlers.released.set()
    replies = await asyncio.gather(*calls)
    assert {reply.title for reply in replies} == {"Tea 1"}
    assert (await service.running.app.database.one(KEPT)).n == 1


async def _awaited(call: Any) -> Any:
    return await call


async def test_keys_of_different_callers_do_not_meet(service: Fixture) -> None:
    await service.create(idempotency_key="k1")
    service.operator = service.issuer.operator(USER.replace("01k", "01m"), "products.write")
    assert (await service.create(idempotency_key="k1")).title == "Tea 2"


def test_a_person_an_app_of_theirs_and_a_partner_they_act_for_have_keys_of_their_own() -> None:
    claims = {"sub": USER, "exp": 0}
    as_app, other_app = claims | {"client_id": "cli_1"}, claims | {"client_id": "cli_2"}
    as_member = claims | {"partner": "prt_1", "member": "mbr_1", "member_role": "owner"}
    every = (claims, as_app, other_app, as_member, as_member | {"mode": "TEST"})
    assert len({from_claims(one, "k").acting for one in every}) == len(every)


async def test_a_required_key_is_asked_for_and_an_invalid_one_refused(service: Fixture) -> None:
    def adjust(**headers: str) -> Any:
        return service.call("AdjustItem", pb.AdjustItemRequest(item_id=ITEM, delta=1), service.operator, **headers)

    await assert_refused(adjust(), "IDEMPOTENCY_KEY_MISSING")
    await assert_refused(adjust(idempotency_key="a" * 256), "IDEMPOTENCY_KEY_INVALID")
    assert (await adjust(idempotency_key="ok")).title == "run 1"


async def test_load_beyond_the_bound_is_shed_immediately_with_a_time_to_come_back(harness: Harness) -> None:
    async with serving(harness, Handlers, max_concurrent_calls=2) as running:
        ask = unary(running, "ListItems")
        waiting = [ask(pb.ListItemsRequest(), timeout=10) for _ in range(2)]

        async def is_full() -> bool:
            return running.app.server_context.in_flight == 2

        await until(is_full, "two calls to run")
        found = await assert_refused(ask(pb.ListItemsRequest(), timeout=10), "OVERLOADED")
        assert found.retry_after == 1.0
        for call in waiting:
            call.cancel()


async def test_streams_run_through_the_chain(service: Fixture) -> None:
    watch = stream(service.running)
    metadata = [("authorization", service.issuer.user(USER))]
    messages = [message.cursor async for message in watch(pb.WatchItemsRequest(), metadata=metadata)]
    assert messages == ["0", "1", "2"]
    await assert_refused(watch(pb.WatchItemsRequest()).read(), "TOKEN_MISSING")
