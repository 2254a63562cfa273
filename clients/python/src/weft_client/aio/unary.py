"""Calls with one request and one reply."""

from __future__ import annotations

from typing import Any, Generic, Protocol

import grpc

from weft_client import context
from weft_client.aio.connection import AsyncConnection, opened
from weft_client.aio.platform import Channel, sleep
from weft_client.calls.call import Call
from weft_client.calls.method import Method, Reply, Request


class AsyncAuth(Protocol):
    """What a call asks for its `authorization` header."""

    def current(self) -> str | None:
        """The header to send now; None where `fetch` must be called."""
        ...

    async def fetch(self) -> str:
        """A fresh header. Calls that ask at the same time share one fetch. Raises `WeftError`."""
        ...

    def refused(self, header: str) -> bool:
        """A service refused this header. Whether another can be had."""
        ...


class AsyncUnary(Generic[Request, Reply]):
    """One RPC, bound to its connection once."""

    __slots__ = ("_auth", "_connection", "_handed_on", "_link", "_method", "_send")

    def __init__(self, connection: AsyncConnection, method: Method[Request, Reply], auth: AsyncAuth | None) -> None:
        self._connection, self._method = connection, method
        self._link = connection.link(method.service)
        self._auth = None if method.open else auth
        self._handed_on = auth is None and not method.open
        self._send: Any
        connection.add(self)

    def bind(self, channel: Channel) -> None:
        """Use this channel from now on."""
        self._send = channel.unary_unary(
            self._method.path,
            request_serializer=self._method.request.SerializeToString,
            response_deserializer=self._method.reply.FromString,
        )

    async def __call__(
        self, request: Request, timeout: float | None = None, idempotency_key: str | None = None
    ) -> Reply:
        """Send it, again where that is safe and helps. Raises `WeftError`."""
        opened(self._connection)
        call = Call(self._method, self._link, timeout, idempotency_key)
        auth = self._auth
        try:
            while True:
                if auth is not None:
                    call.authorize(auth.current() or await auth.fetch())
                elif self._handed_on:
                    call.authorize(context.authorization.get())
                try:
                    reply: Reply = await self._send(request, timeout=call.attempt(), metadata=call.metadata)
                except grpc.RpcError as error:
                    if pause := call.failed(error, auth.refused if auth is not None else None):
                        await sleep(pause)
                else:
                    call.succeeded()
                    return reply
        finally:
            call.end()
