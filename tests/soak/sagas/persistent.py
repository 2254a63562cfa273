"""Calls to an order service that dies and comes back: each is repeated with its key until it is answered."""

import asyncio
import secrets
from collections import Counter
from typing import Any

import grpc
from weft.order.v1 import order_service_pb2_grpc, payment_service_pb2_grpc

from chassis import ids
from tests.harness import Issuer, refusal
from tests.order.shop import SCOPES, metadata
from tests.soak.sagas.service import Service

AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
)
_STUBS = (order_service_pb2_grpc.OrderServiceStub, payment_service_pb2_grpc.PaymentServiceStub)


class Persistent:
    """`done` and `refused`: what was answered, by RPC and by reason."""

    def __init__(self, issuer: Issuer, service: Service) -> None:
        self._issuer = issuer
        self._service = service
        self._operator_id, self._user_id = ids.new("usr"), ids.new("usr")
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def buyer(self, method: str, request: Any) -> Any:
        """As the customer."""
        return await self._call(method, request, self._issuer.user(self._user_id))

    async def operator(self, method: str, request: Any) -> Any:
        """As an operator. A token of now: a run takes longer than one lasts."""
        return await self._call(method, request, self._issuer.operator(self._operator_id, SCOPES))

    async def provider(self, method: str, request: Any, header: tuple[str, str]) -> Any:
        """Without a token."""
        return await self._call(method, request, "", header)

    async def _call(self, method: str, request: Any, token: str, header: tuple[str, str] | None = None) -> Any:
        """The reply; None for a typed refusal."""
        given = [*metadata(token, secrets.token_hex(8) if token else ""), *([header] if header else [])]
        while True:
            channel = self._service.channel
            if channel is None:
                await asyncio.sleep(0.1)
                continue
            call = next(getattr(stub(channel), method) for stub in _STUBS if hasattr(stub(channel), method))
            try:
                reply = await call(request, metadata=given, timeout=5)
            except grpc.RpcError as error:
                if error.code() not in AGAIN:
                    reason = refusal(error).reason
                    if not reason:
                        raise
                    self.refused[reason] += 1
                    return None
            except asyncio.CancelledError:
                if self._service.channel is channel:
                    raise  # this task's; otherwise the channel was closed under the call
            else:
                self.done[method] += 1
                return reply
            await asyncio.sleep(0.1)
