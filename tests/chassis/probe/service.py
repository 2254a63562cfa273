"""The probe: a service with the chassis's whole chain, whose handlers are the test's."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from chassis.app import App
from chassis.rpc.call import Call
from chassis.rpc.requests.validation import message_class
from tests.chassis.probe import contract as pb
from tests.harness import Harness, Running

USER = "usr_01k00000000000000000000000"
ITEM = "itm_01k00000000000000000000000"


class Items:
    """No RPC is implemented: a test overrides those that it calls."""

    async def _not_called(self, request: Any, call: Call) -> Any:
        raise AssertionError("not called")

    CreateItem = GetItem = PeekItem = ListItems = UpdateItem = AdjustItem = WatchItems = _not_called


async def serve(app: App, handlers: Items) -> None:
    """Have an app serve the probe's contract in the place of ours."""
    app.contract = pb.CONTRACT
    app.add_service(pb.SERVICE, handlers)


@asynccontextmanager
async def serving(harness: Harness, handlers: Items | Callable[[App], Items], **options: Any) -> AsyncIterator[Running]:
    """The running probe; `options` as for `Harness.running`."""

    async def build(app: App) -> None:
        await serve(app, handlers if isinstance(handlers, Items) else handlers(app))

    async with harness.running("probe", build, **{"work": False, **options}) as running:
        yield running


def unary(running: Running, rpc: str) -> Any:
    """A unary RPC of the probe on the channel of `internal`; call it with a request."""
    method = pb.CONTRACT.by_path[f"/{pb.SERVICE}/{rpc}"]
    return running.channel.unary_unary(
        method.path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_class(method.output).FromString,
    )


def stream(running: Running) -> Any:
    """The probe's stream."""
    return running.channel.unary_stream(
        f"/{pb.SERVICE}/WatchItems",
        request_serializer=pb.WatchItemsRequest.SerializeToString,
        response_deserializer=pb.WatchItemsResponse.FromString,
    )
