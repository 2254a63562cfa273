"""Calls that answer with a stream, resumed where it broke."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Any, Generic, Self

import grpc

from weft_client import context, failures
from weft_client.aio.connection import AsyncConnection, opened
from weft_client.aio.platform import Channel, Event, broken_off, wait
from weft_client.aio.unary import AsyncAuth
from weft_client.calls.call import Call
from weft_client.calls.link import Link
from weft_client.calls.method import Method, Reply, Request

_RESUME_TIMEOUT_S = 60.0
"""How long a stream that can resume keeps trying without a message."""


class AsyncStreaming(Generic[Request, Reply]):
    """One streaming RPC, bound to its connection once."""

    def __init__(self, connection: AsyncConnection, method: Method[Request, Reply], auth: AsyncAuth | None) -> None:
        self.connection, self.method = connection, method
        self.link: Link = connection.link(method.service)
        self.auth = None if method.open else auth
        self.send: Any
        connection.add(self)

    def bind(self, channel: Channel) -> None:
        """Use this channel from now on."""
        self.send = channel.unary_stream(
            self.method.path,
            request_serializer=self.method.request.SerializeToString,
            response_deserializer=self.method.reply.FromString,
        )

    def __call__(self, request: Request, timeout: float | None = None) -> AsyncStream[Reply]:
        """A stream that opens with its first message."""
        return AsyncStream(self, request, timeout)


class AsyncStream(Generic[Reply]):
    """Messages as they come. Close it, or use it as a context manager, when leaving it before its end; whoever reads it then is done.

    A stream whose messages have a cursor resumes from the last one when the connection breaks or the service ends it
    temporarily; heartbeats are passed over. Messages may come twice after that. `cursor` is the last one seen, to be
    stored by callers that resume later.
    """

    def __init__(self, streaming: AsyncStreaming[Any, Reply], request: Any, timeout: float | None) -> None:
        self._streaming, self._request, self._timeout = streaming, request, timeout
        fields = streaming.method.reply.DESCRIPTOR.fields_by_name
        self._resumes = "cursor" in fields and "cursor" in request.DESCRIPTOR.fields_by_name
        self._ends = "error" in fields and fields["error"].message_type is not None
        self._beats = "heartbeat" in fields
        self.cursor: str = request.cursor if self._resumes else ""
        self._call: Call | None = None
        self._reply: Any = None
        self._messages: Any = None
        self._quiet_since = 0.0
        self._over = self._begun = False
        self._closed = Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Reply:
        """The next message. Raises `WeftError` where the stream cannot go on."""
        while not self._over:
            try:
                messages = await self._open() if self._messages is None else self._messages
                if messages is None:
                    break
                message: Reply = await anext(messages)
                if (call := self._call) is not None and self._arrived(call, message):
                    return message
            except StopAsyncIteration:
                if (call := self._call) is not None:
                    call.succeeded()
                self._finish()
            except (grpc.RpcError, failures.WeftError) as error:
                if (call := self._call) is None or self._over:
                    break  # closed beside this read
                await wait(self._closed, self._broke(call, error))
            except BaseException as error:
                closed = self._over and broken_off(error)
                self._finish()
                if not closed:
                    raise
        raise StopAsyncIteration

    async def close(self) -> None:
        """End the stream, also beside a read of it."""
        self._finish()
        self._closed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self) -> Any:
        """Send the request; its messages, or None where the stream was closed meanwhile."""
        streaming = self._streaming
        opened(streaming.connection)
        if self._call is None:
            self._quiet_since = monotonic()
            self._call = Call(streaming.method, streaming.link, self._timeout)
        call = self._call
        if streaming.auth is not None:
            call.authorize(streaming.auth.current() or await streaming.auth.fetch())
        elif not streaming.method.open:
            call.authorize(context.authorization.get())
        if self._over:
            return self._finish()
        if self._resumes:
            self._request.cursor = self.cursor
        self._reply = reply = streaming.send(self._request, timeout=call.attempt(), metadata=call.metadata)
        self._messages = messages = aiter(reply)
        if not self._over:
            return messages
        call.end()  # closed by another thread
        return self._finish()

    def _arrived(self, call: Call, message: Any) -> bool:
        """Take note of a message; whether it is one for the caller. Raises the terminal error that it may hold."""
        if self._resumes and message.cursor:
            self.cursor = message.cursor
        if self._ends and message.HasField("error"):
            raise failures.from_status(message.error, call.request_id, call.attempts)
        self._begun = True
        self._quiet_since = monotonic()
        call.progressed()
        return not (self._beats and message.HasField("heartbeat"))

    def _broke(self, call: Call, error: grpc.RpcError | failures.WeftError) -> float:
        """Seconds to wait before resuming, or opening again. Raises what ends the stream."""
        self._drop()
        auth = self._streaming.auth
        renew = auth.refused if auth is not None else None
        try:
            if self._resumes:
                return call.broke(error, renew, patient=monotonic() - self._quiet_since < _RESUME_TIMEOUT_S)
            if self._begun or isinstance(error, failures.WeftError):
                return call.broke(error, None, patient=False)
            return call.failed(error, renew)
        except BaseException:
            self._finish()
            raise

    def _drop(self) -> None:
        reply, self._reply, self._messages = self._reply, None, None
        if reply is not None:
            reply.cancel()

    def _finish(self) -> None:
        """Another thread may be doing so, too."""
        self._over = True
        call, self._call = self._call, None
        self._drop()
        if call is not None:
            call.end()
