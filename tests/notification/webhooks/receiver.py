"""A receiver of webhooks on loopback, which answers as it is told, and a partner who calls."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from google.protobuf.timestamp_pb2 import Timestamp
from weft.api.v1.event_pb2 import Event
from weft.notification.v1 import event_service_pb2 as events_pb
from weft.notification.v1 import event_service_pb2_grpc, webhook_service_pb2_grpc
from weft.notification.v1 import webhook_service_pb2 as pb
from weft.notification.v1.webhook_delivery_pb2 import WebhookDelivery, WebhookDeliveryState, WebhookFailure
from weft.notification.v1.webhook_endpoint_pb2 import WebhookEndpoint

from chassis import ids
from tests.harness import Harness, Running
from tests.servers import until

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Got:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What came, and what is answered to each path: 200 unless told otherwise."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def allowed(self) -> list[str]:
        return [f"127.0.0.1:{self.port}"]

    def at(self, path: str) -> list[Got]:
        return [each for each in self.got if each.path == path]

    def answer(self, path: str, *answers: int | Answer) -> None:
        """Answer requests to a path one after the other, the last one for ever: with a status, or by a function."""
        waiting = list(answers)

        async def next_answer(request: web.Request) -> web.StreamResponse:
            found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return web.Response(status=found) if isinstance(found, int) else await found(request)

        self.answers[path] = next_answer

    async def hang(self, _: web.Request) -> web.StreamResponse:
        """Never answer."""
        await self.hanging.wait()
        return web.Response()

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.got.append(Got(request.path, {k.lower(): v for k, v in request.headers.items()}, await request.read()))
        answer = self.answers.get(request.path)
        return await answer(request) if answer else web.Response(text="thanks")

    async def wait_for(self, count: int, path: str = "/hook") -> list[Got]:
        async def arrived() -> bool:
            return len(self.at(path)) >= count

        await until(arrived, f"{count} webhooks at {path}")
        return self.at(path)


async def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def garbage(request: web.Request) -> web.StreamResponse:
    """Answer with what is not HTTP."""
    assert request.transport is not None
    request.transport.write(b"\x00\xff not http\r\n\r\n")
    request.transport.close()
    return web.Response()


async def interim(request: web.Request) -> web.StreamResponse:
    """Announce an answer again and again."""
    transport = request.transport
    assert transport is not None
    for _ in range(1000):
        if transport.is_closing():
            break
        transport.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
        await asyncio.sleep(0)
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    """Accept, and send a body that has no end and is no text."""
    reply = web.StreamResponse(status=200)
    with suppress(ConnectionError):  # it hung up
        await reply.prepare(request)
        for _ in range(64):
            await reply.write(b"\x00\xff" * 32_768)
    return reply


def redirect(to: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": to})

    return answer


def later(seconds: int | str, status: int = 503) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"retry-after": str(seconds)})

    return answer


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        receiver.hanging.set()
        await runner.cleanup()


@dataclass
class Partner:
    """A partner's client in a mode."""

    harness: Harness
    running: Running
    partner_id: str = field(default_factory=lambda: ids.new("prt"))
    mode: str = "TEST"

    @property
    def metadata(self) -> list[tuple[str, str]]:
        token = self.harness.issuer.partner(self.partner_id, "webhooks.manage", mode=self.mode)
        return [("authorization", token)]

    @property
    def webhooks(self) -> Any:
        return webhook_service_pb2_grpc.WebhookServiceStub(self.running.channel)

    @property
    def events(self) -> Any:
        return event_service_pb2_grpc.EventServiceStub(self.running.channel)

    async def create(self, url: str, **fields: Any) -> WebhookEndpoint:
        return await self.webhooks.CreateEndpoint(pb.CreateEndpointRequest(url=url, **fields), metadata=self.metadata)

    async def get(self, endpoint_id: str) -> WebhookEndpoint:
        request = pb.GetEndpointRequest(endpoint_id=endpoint_id)
        return await self.webhooks.GetEndpoint(request, metadata=self.metadata)

    async def update(self, endpoint_id: str, etag: str = "", **fields: Any) -> WebhookEndpoint:
        endpoint = WebhookEndpoint(endpoint_id=endpoint_id, etag=etag, **fields)
        request = pb.UpdateEndpointRequest(endpoint=endpoint)
        return await self.webhooks.UpdateEndpoint(request, metadata=self.metadata)

    async def deliveries(self, endpoint_id: str, **filters: Any) -> list[WebhookDelivery]:
        request = pb.ListWebhookDeliveriesRequest(endpoint_id=endpoint_id, **filters)
        return list((await self.webhooks.ListWebhookDeliveries(request, metadata=self.metadata)).deliveries)

    async def replay(self, delivery: WebhookDelivery) -> WebhookDelivery:
        request = pb.ReplayDeliveryRequest(endpoint_id=delivery.endpoint_id, delivery_id=delivery.delivery_id)
        return await self.webhooks.ReplayDelivery(request, metadata=self.metadata)

    async def recover(self, endpoint_id: str, since: Timestamp) -> Any:
        request = pb.RecoverDeliveriesRequest(endpoint_id=endpoint_id, since_time=since)
        return await self.webhooks.RecoverDeliveries(request, metadata=self.metadata)

    async def listed(self, **filters: Any) -> Any:
        return await self.events.ListEvents(events_pb.ListEventsRequest(**filters), metadata=self.metadata)

    async def has_listed(self, made: Sequence[Event]) -> Any:
        """The log, once it is these events: others' transactions may hold up its end for a moment."""
        found: list[Any] = []

        async def complete() -> bool:
            found[:] = (await self.listed()).events
            return len(found) >= len(made)

        await until(complete, f"{len(made)} events in the log")
        assert sorted(each.event_id for each in found) == sorted(each.event_id for each in made)
        return found

    async def attempted(self, endpoint_id: str) -> WebhookDelivery:
        """The newest delivery, once it was attempted."""
        found: list[WebhookDelivery] = []

        async def any_attempt() -> bool:
            found[:] = await self.deliveries(endpoint_id)
            return bool(found and found[0].attempts)

        await until(any_attempt, "an attempt")
        return found[0]

    async def settled(self, endpoint_id: str, count: int) -> list[WebhookDelivery]:
        """The deliveries, oldest first, once none of `count` is pending."""
        found: list[WebhookDelivery] = []

        async def all_done() -> bool:
            found[:] = reversed(await self.deliveries(endpoint_id))
            return len(found) >= count and all(state(each) != "PENDING" for each in found)

        await until(all_done, "the deliveries to be settled")
        return found


def state(delivery: WebhookDelivery) -> str:
    return WebhookDeliveryState.Name(delivery.state).removeprefix("WEBHOOK_DELIVERY_STATE_")


def outcomes(delivery: WebhookDelivery) -> list[tuple[int, str]]:
    """Status and failure of each attempt."""
    return [
        (each.http_status, WebhookFailure.Name(each.failure).removeprefix("WEBHOOK_FAILURE_"))
        for each in delivery.attempts
    ]
