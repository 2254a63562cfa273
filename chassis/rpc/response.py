"""The end of the chain: the handler, its reply and the response headers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import grpc

from chassis import errors
from chassis.rpc import resource_ids
from chassis.rpc.call import Call
from chassis.rpc.requests.validation import message_class
from chassis.rpc.stages import Next, ServerContext
from chassis.telemetry.logs import logger
from contract import Method

MAX_HEADER_BYTES = 2_000
"""Of a response's own headers: far below the limit of every hop."""

STALL_TIMEOUT_S = 30.0
"""A stream ends when its reader accepts no message for so long."""

log = logger("chain")


def handler_call(handler: Callable[[Any, Call], Any], method: Method) -> Next:
    """Innermost: calls the handler and serializes its reply."""
    if method.server_streaming:

        async def stream(call: Call) -> None:
            # Closed when the call ends, not when it is garbage-collected.
            async with aclosing(handler(call.request, call)) as messages:
                async for message in messages:
                    await _write(call, message.SerializeToString())

        return stream

    async def run(call: Call) -> bytes:
        reply = await handler(call.request, call)
        return reply if type(reply) is bytes else reply.SerializeToString()

    return run


async def _write(call: Call, message: bytes) -> None:
    """Send a message of a stream. Waits while the reader accepts nothing (flow control), so no further one is made.

    A status can follow a message only once that has been sent: a reader that resumes too late gets the error then. One
    that never does keeps its place in its stream quota until its deadline, or the maximum age of its connection.
    """
    begun = time.monotonic()
    try:
        await call.context.write(message)
    except grpc.aio.BaseError:
        raise asyncio.CancelledError from None  # the caller has disconnected; gRPC has not reported it yet
    if time.monotonic() - begun > STALL_TIMEOUT_S:
        raise errors.ReaderTooSlow


def response(server: ServerContext, method: Method, next_: Next) -> Next:
    """Around replay and handler alike: the HTTP status of success and the new resource's `location`."""
    if method.success == 200:

        async def plain(call: Call) -> bytes | None:
            reply = await next_(call)
            if call.headers:
                await call.context.send_initial_metadata(_sendable(call.headers, method))
            return reply

        return plain
    parse = message_class(method.output).FromString
    path_of = _path_of(method.location) if method.location else None
    status = ("x-http-status", str(method.success))
    ids_of = resource_ids.of_reply(server.contract, method)

    async def run(call: Call) -> bytes | None:
        reply = await next_(call)
        headers = [status, *(call.headers or ())]
        if path_of and reply is not None:
            message = parse(reply)
            if call.span.is_recording():
                call.span.set_attributes(ids_of(message))
            headers.append(("location", path_of(message)))
        await call.context.send_initial_metadata(_sendable(headers, method))
        return reply

    return run


def _path_of(template: str) -> Callable[[Any], str]:
    """Fills the `{variables}` of a route with the fields of a reply."""
    texts, names = re.split(r"{\w+}", template), re.findall(r"{(\w+)}", template)
    return lambda message: "".join(
        [
            texts[0],
            *(quote(getattr(message, name), safe="") + text for name, text in zip(names, texts[1:], strict=True)),
        ]
    )


def _sendable(headers: Sequence[tuple[str, str]], method: Method) -> tuple[tuple[str, str], ...]:
    """The headers that may be sent: one that is too large or not ASCII would break the call."""
    sent, room = [], MAX_HEADER_BYTES
    for name, value in headers:
        size = len(name) + len(value) + 32  # as HTTP/2 counts them
        if size > room or not (value.isascii() and value.isprintable()):
            log.error("header_dropped", method=method.full_name, header=name, size=size)
            continue
        room -= size
        sent.append((name, value))
    return tuple(sent)
