"""Serves peer (b): `python -m bench.peers.grpc_bare host:port`; one process is one core."""

import asyncio
import signal
import sys

import grpc
import uvloop
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from weft.order.v1 import order_service_pb2_grpc
from weft.user.v1 import user_service_pb2, user_service_pb2_grpc

from bench.peers import database, telemetry
from bench.peers.customers import Customers
from bench.peers.grpc_bare.server import Gate, OrderService, UserService
from bench.peers.settings import Settings


async def serve(address: str) -> None:
    """Serves until SIGTERM."""
    settings = Settings()  # type: ignore[call-arg]  # what has no default is in the environment
    engine, writes, reads = database.connect(settings)
    traced = telemetry.start(settings, "peer-b")
    if traced:
        AsyncPGInstrumentor().instrument()
    server = grpc.aio.server(interceptors=[aio_server_interceptor()] if traced else [])
    channel = grpc.aio.insecure_channel(
        settings.users_url or address, interceptors=aio_client_interceptors() if traced else None
    )
    users = user_service_pb2_grpc.UserServiceStub(channel)
    metadata = (("authorization", f"Bearer {settings.users_token}"),)

    async def lookup(user_id: str) -> str | None:
        request = user_service_pb2.BatchGetUsersRequest(user_ids=[user_id])
        reply = await users.BatchGetUsers(request, metadata=metadata, timeout=2.0)
        return reply.users[0].partner_id if reply.users else None

    gate = Gate(settings)
    order_service_pb2_grpc.add_OrderServiceServicer_to_server(
        OrderService(gate, Customers(lookup), writes, reads), server
    )
    user_service_pb2_grpc.add_UserServiceServicer_to_server(UserService(gate, reads), server)
    server.add_insecure_port(address)
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(1)
    await channel.close()
    await engine.dispose()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
