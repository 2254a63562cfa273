"""One call of an RPC, as the chain and the handlers see it."""

from __future__ import annotations

import time
import uuid
from contextvars import ContextVar
from typing import Any

import grpc
from google.protobuf.message import Message
from opentelemetry.trace import INVALID_SPAN, Span

from services.chassis import telemetry
from services.chassis.contract import Method
from services.chassis.database import Transaction
from services.chassis.idempotency import IdempotencyKey, Record
from services.chassis.identity import ANONYMOUS, Identity

current: ContextVar[Call | None] = ContextVar("weft_call", default=None)
"""The call that is being served here."""


class Call:
    """A call: what came with it, who makes it, and what goes back beside the reply."""

    __slots__ = (
        "_request_id",
        "authorization",
        "caller",
        "context",
        "deadline",
        "headers",
        "idempotency_key",
        "key",
        "method",
        "request",
        "rest",
        "span",
        "traceparent",
    )

    def __init__(self, method: Method, context: grpc.aio.ServicerContext[Any, Any], request: Any) -> None:
        self.method = method
        self.context = context
        self.request = request
        self.caller: Identity = ANONYMOUS
        self.key: IdempotencyKey | None = None
        self.span: Span = INVALID_SPAN
        self.deadline = 0.0
        self.headers: list[tuple[str, str]] | None = None
        self.authorization = self._request_id = self.traceparent = ""
        self.idempotency_key: str | None = None  # an empty one is a fault of the caller's, not the lack of one
        self.rest = False
        self._read_metadata()

    def _read_metadata(self) -> None:
        for name, value in self.context.invocation_metadata() or ():
            if name == "authorization":
                self.authorization = str(value)
            elif name == "traceparent":
                self.traceparent = str(value)
            elif name == "x-request-id":
                self._request_id = str(value)[:64]
            elif name == "idempotency-key":
                self.idempotency_key = str(value)
            elif name == "x-envoy-original-path":
                self.rest = True

    @property
    def request_id(self) -> str:
        """The id that the edge or the caller gave the call; made here where nobody did."""
        if not self._request_id:
            self._request_id = uuid.uuid4().hex
        return self._request_id

    @property
    def given_request_id(self) -> str:
        """The id that came with the call; empty where none did."""
        return self._request_id

    def remaining(self) -> float:
        """Seconds that are left of the call's deadline."""
        return max(0.0, self.deadline - time.monotonic())

    def set_header(self, name: str, value: str) -> None:
        """Send a header (initial metadata) with the reply."""
        if self.headers is None:
            self.headers = []
        self.headers.append((name, value))

    async def remember(self, tx: Transaction, reply: Message) -> None:
        """Store the reply under the call's idempotency key, in the transaction of the effect; without a key, nothing."""
        if self.key is not None:
            await self.key.remember(tx, reply)

    def record(self, reply: bytes) -> Record | None:
        """The row of the idempotency table for handlers that write it in their own statement; None without a key."""
        return self.key.record(reply) if self.key is not None else None

    @property
    def span_context(self) -> str:
        """The `traceparent` of the call's own span, for what the call starts."""
        return telemetry.write_traceparent(self.span)
