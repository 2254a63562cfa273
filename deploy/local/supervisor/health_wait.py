"""Waits for services: asks each one's `grpc.health.v1` over mTLS, as `internal`, and prints its name when it serves.

A process of its own, so that the supervisor carries no gRPC. Its argument: `{"ca", "cert", "key": paths, "seconds": n,
"targets": {name: [address, dns name]}}`.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

POLL_INTERVAL_S = 0.05


async def wait(request: dict[str, Any]) -> None:
    """Print each name of `targets` as it becomes ready; returns when all are."""
    credentials = identity(*(request[name] for name in ("ca", "key", "cert")))
    async with asyncio.timeout(request["seconds"]):
        await asyncio.gather(
            *(_wait_for(name, address, dns, credentials) for name, (address, dns) in request["targets"].items()),
        )


def identity(ca: str, key: str, cert: str) -> grpc.ChannelCredentials:
    """The client certificate to show to services, from files."""
    return grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in (ca, key, cert)))


async def serves(address: str, dns: str, credentials: grpc.ChannelCredentials, seconds: float = 3) -> bool:
    """Whether a service answers SERVING within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await _wait_for("", address, dns, credentials)
    except TimeoutError:
        return False
    return True


async def _wait_for(name: str, address: str, dns: str, credentials: grpc.ChannelCredentials) -> None:
    options = [
        ("grpc.ssl_target_name_override", dns),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 300),
        ("grpc.enable_http_proxy", 0),
    ]
    async with grpc.aio.secure_channel(address, credentials, options) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)  # whose types do not know its methods
        while True:
            try:
                reply = await health.Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.aio.AioRpcError:
                pass
            else:
                if reply.status == health_pb2.HealthCheckResponse.SERVING:
                    if name:
                        print(name, flush=True)
                    return
            await asyncio.sleep(POLL_INTERVAL_S)


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    try:
        asyncio.run(wait(request))
    except TimeoutError:
        sys.exit(1)
