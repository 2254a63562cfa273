"""The gRPC server of a process: its options, what it serves, and where it listens."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.rpc import chain
from chassis.rpc.builtin.health import Health
from chassis.rpc.builtin.reflection import Reflection
from chassis.rpc.call import Call
from chassis.rpc.stages import ServerContext
from chassis.security import tls
from chassis.settings import Settings, SettingsError
from contract import Contract

STREAM_GRACE_S = 15
"""Added to the deadline of a stream: for its last message, and for a peer whose timer is late."""


def options(read: Contract) -> list[tuple[str, int]]:
    """gRPC's options. A connection that reaches its maximum age lets its longest stream end by itself."""
    longest = max(method.deadline for method in read.methods)
    return [
        ("grpc.so_reuseport", 0),  # one process is one endpoint: a port in use is an error
        ("grpc.max_connection_age_ms", 300_000),  # clients find new replicas
        ("grpc.max_connection_age_grace_ms", int((longest + STREAM_GRACE_S) * 1000)),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.max_receive_message_length", 4 * 1024 * 1024),
        # Twice the limit of the edge; between a soft and a hard limit gRPC rejects at random.
        ("grpc.max_metadata_size", 64 * 1024),
        ("grpc.absolute_max_metadata_size", 64 * 1024),
        ("grpc.max_concurrent_streams", 1000),
    ]


def make(
    context: ServerContext, served: Mapping[str, Mapping[str, Callable[[Any, Call], Any]]], health: Health
) -> grpc.aio.Server:
    """A server with the handlers of each service by the names of its RPCs, and with health and reflection."""
    server = grpc.aio.server(options=options(context.contract))
    for service, methods in served.items():
        bound = {m.name: chain.bind(context, m, methods[m.name]) for m in context.contract.of_service(service)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, bound),))
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    names = [*served, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
    every_service = {package.split(".")[1] for package in context.contract.packages}
    Reflection(names, context.trusted_callers | every_service).serve(server)
    return server


def listen(server: grpc.aio.Server, settings: Settings) -> int:
    """Listen where the settings say; returns the port. Raises `SettingsError` where that is impossible."""
    try:
        if settings.tls == "on":
            return server.add_secure_port(settings.listen, tls.server(settings))
        return server.add_insecure_port(settings.listen)
    except RuntimeError:
        raise SettingsError(
            f"WEFT_LISTEN: {settings.listen} is in use or not an address of this host; set another one."
        ) from None
