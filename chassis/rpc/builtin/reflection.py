"""Reflection (`grpc.reflection.v1alpha`) for internal callers. The edge neither routes it nor has a certificate that allows it."""

from collections.abc import Collection, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from chassis import errors
from chassis.security import identity

_Stock: Any = reflection.aio.ReflectionServicer  # typed as a coroutine, though it is an asynchronous generator


class Reflection(_Stock):  # type: ignore[misc]
    """The stock servicer, which authorizes the caller first."""

    def __init__(self, services: Sequence[str], internal_callers: Collection[str]) -> None:
        super().__init__([*services, reflection.SERVICE_NAME], descriptor_pool.Default())
        self._internal_callers = internal_callers

    async def ServerReflectionInfo(self, requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Describes the served services. Answers PERMISSION_DENIED to callers outside the mesh."""
        if not identity.of_certificate(context.auth_context(), self._internal_callers).is_internal:
            refused = errors.CallerNotAllowed(callers="INTERNAL")
            status = refused.status("")
            details = (("grpc-status-details-bin", status.SerializeToString()),)
            await context.abort(refused.code, status.message, details)
        async for reply in super().ServerReflectionInfo(requests, context):
            yield reply

    def serve(self, server: grpc.aio.Server) -> None:
        """Add it to a server."""
        add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server  # whose types do not know it
        add(self, server)
