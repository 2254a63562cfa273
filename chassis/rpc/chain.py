"""The interceptor chain of every call, composed once for each RPC when the server starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from chassis.rpc.call import Call
from chassis.rpc.callers.authentication import authentication
from chassis.rpc.callers.authorization import authorization
from chassis.rpc.response import handler_call, response
from chassis.rpc.stages import (
    ServerContext,
    Stage,
    admission,
    error_mapping,
    idempotency,
    stream_quota,
    telemetry,
    validation,
)
from contract import Method

CHAIN: tuple[Stage, ...] = (
    telemetry,
    error_mapping,
    admission,
    authentication,
    authorization,
    stream_quota,
    validation,
    response,
    idempotency,
)
"""Outermost first; the reason for each place is the first sentence of its stage."""


def bind(server: ServerContext, method: Method, handler: Callable[[Any, Call], Any]) -> grpc.RpcMethodHandler[Any, Any]:
    """The method handler of an RPC: the chain, composed around the handler. Requests come and replies leave as bytes."""
    run = handler_call(handler, method)
    for stage in reversed(CHAIN):
        run = stage(server, method, run)

    async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> bytes | None:
        return await run(Call(method, context, request))

    kind = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    return kind(serve, request_deserializer=None, response_serializer=None)
