"""One call of an RPC: its request headers, its caller, and its response headers."""

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
"""The call that the current task serves."""
REPEATED = "sent twice"
"""Replaces the value of a header that was sent twice; it is valid for none of them."""


class Call:
    """A call. Handlers read `caller` and `header`, and may set response headers."""

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
        self.idempotency_key: str | None = None  # an empty key is invalid, not absent
        self._read_metadata()

    def _read_metadata(self) -> None:
        """A header that must be unique is invalid when it is repeated: a proxy may have checked the other value."""
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

    def header(self, name: str) -> str:
        """A request header by its lower-case name; empty where it is absent, the first value where it is repeated."""
        return next((str(value) for key, value in self.context.invocation_metadata() or () if key == name), "")

    @property
    def client_address(self) -> str:
        """The IP address of the client as the edge reports it, or that of the direct peer; empty where there is none."""
        if address := self.header("x-envoy-external-address"):
            return address
        kind, _, rest = self.context.peer().partition(":")
        return (
            rest.rpartition(":")[0].strip("[]").replace("%5B", "").replace("%5D", "") if kind.startswith("ipv") else ""
        )

    def remaining(self) -> float:
        """Seconds until the call's deadline."""
        return max(0.0, self.deadline - time.monotonic())

    def set_header(self, name: str, value: str) -> None:
        """Add a response header (initial metadata)."""
        if self.headers is None:
            self.headers = []
        self.headers.append((name, value))

    async def remember(self, tx: Transaction, reply: Message) -> None:
        """Store the reply under the call's idempotency key, in the transaction of the effect. Does nothing without a key."""
        if self.key is not None:
            await self.key.remember(tx, reply)

    def record(self, reply: Message) -> Record | None:
        """The row of the idempotency table, for handlers that insert it in a statement of their own; None without a key."""
        return self.key.record(reply) if self.key is not None else None

    @property
    def outgoing_traceparent(self) -> str:
        """The `traceparent` of the call's own span, for what the call starts."""
        return tracing.write_traceparent(self.span)
