"""One call of an RPC, as the chain and the handlers see it."""

from __future__ import annotations

import random
import time
from contextvars import ContextVar
from typing import Any

import grpc
from google.protobuf.message import Message
from opentelemetry.trace import INVALID_SPAN, Span

from chassis.rpc.idempotency import IdempotencyKey, Record
from chassis.security.identity import ANONYMOUS, Identity
from chassis.storage.database import Transaction
from chassis.telemetry import tracing
from contract import Method

current: ContextVar[Call | None] = ContextVar("weft_call", default=None)
"""The call that is being served here."""
REPEATED = "given twice"
"""In the place of a header that came twice: valid for none of them."""


class Call:
    """A call: what came with it, who makes it, and what goes back beside the reply."""

    __slots__ = (
        "authorization",
        "caller",
        "client_traceparent",
        "context",
        "deadline",
        "headers",
        "idempotency_key",
        "key",
        "method",
        "request",
        "request_id",
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
        self.authorization = self.request_id = self.traceparent = self.client_traceparent = ""
        self.idempotency_key: str | None = None  # an empty one is a fault of the caller's, not the lack of one
        self._read_metadata()

    def _read_metadata(self) -> None:
        """Headers that must come once are no good when they come twice: a proxy may have looked at the other one."""
        for name, value in self.context.invocation_metadata() or ():
            if name == "authorization":
                self.authorization = str(value) if not self.authorization else REPEATED
            elif name == "traceparent":
                self.traceparent = str(value) if not self.traceparent else REPEATED
            elif name == "x-request-id":
                self.request_id = self.request_id or str(value)[:64]
            elif name == "idempotency-key":
                self.idempotency_key = str(value) if self.idempotency_key is None else REPEATED
            elif name == "x-weft-client-traceparent":
                self.client_traceparent = str(value)
        if not self.request_id:
            self.request_id = f"{random.getrandbits(128):032x}"

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
    def outgoing_traceparent(self) -> str:
        """The `traceparent` of the call's own span, for what the call starts."""
        return tracing.write_traceparent(self.span)
