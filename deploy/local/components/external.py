"""Asks the servers that the environment names whether they answer: `python -m deploy.local.components.external`.

A process of its own, so that the supervisor carries none of their clients. It prints a warning on a line for what the
mesh can begin without, and ends with 1 and one sentence on standard error for what it cannot.
"""

import asyncio
import re
import sys
from urllib.parse import urlsplit

import grpc
import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from psycopg.conninfo import conninfo_to_dict
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from chassis import postgres
from chassis.process import database_fault
from deploy.local import options
from deploy.local.failures import MeshError

TIMEOUT_S = 5


def check_database(url: str) -> None:
    """Raises `MeshError` where the server cannot be used."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # whose text may hold the password
        raise MeshError("WEFT_DATABASE_URL is malformed: write postgresql://role:password@host:port.") from None
    try:
        with psycopg.connect(url, dbname="postgres", connect_timeout=TIMEOUT_S) as connection:
            if fault := postgres.fault(connection.info.server_version):
                raise MeshError(fault)
    except psycopg.OperationalError as error:
        raise MeshError(f"WEFT_DATABASE_URL: {database_fault(error)}") from None


async def check_redis(url: str) -> str:
    """A warning where the server is silent. Raises `MeshError` where it says no, or the address is none."""
    parts = urlsplit(url)
    try:
        fits = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise MeshError("WEFT_REDIS_URL is malformed: write redis://[user:password@]host:port[/number], or rediss://.")
    client: Redis = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        await client.get("weft:start")
    except (AuthenticationError, ResponseError) as error:
        raise MeshError(f"WEFT_REDIS_URL: the server refuses ({error}): check user and password.") from None
    except (RedisError, OSError) as error:
        return f"WEFT_REDIS_URL: no server answers at {parts.hostname}:{parts.port or 6379} ({_short(error)}): no cache until one does."
    finally:
        await client.aclose()
    return ""


async def check_otlp(url: str) -> str:
    """A warning where no receiver takes spans. Raises `MeshError` where the address is none."""
    found = re.fullmatch(r"(https?)://([^/@\s]+:\d{1,5})/?", url)
    if not found:
        raise MeshError(
            "WEFT_OTLP_ENDPOINT is malformed: write http://host:port, or https://; the port is of OTLP over gRPC."
        )
    channel_options = [("grpc.enable_http_proxy", 0)]
    async with (
        grpc.aio.secure_channel(found[2], grpc.ssl_channel_credentials(), channel_options)
        if found[1] == "https"
        else grpc.aio.insecure_channel(found[2], channel_options)
    ) as channel:
        try:
            await TraceServiceStub(channel).Export(ExportTraceServiceRequest(), timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return (
                f"WEFT_OTLP_ENDPOINT: {found[2]} takes no spans over gRPC ({error.code().name}): "
                "traces are lost until it does."
            )
    return ""


def _short(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0].rpartition(". ")[2].rstrip(".") if text else type(error).__name__


async def main() -> None:
    """Check every server that is named."""
    wanted = options.read()
    if wanted.database_url:
        await asyncio.to_thread(check_database, wanted.database_url)
    warnings = [
        await check_redis(wanted.redis_url) if wanted.redis_url else "",
        await check_otlp(wanted.otlp_endpoint) if wanted.otlp_endpoint else "",
    ]
    print("\n".join(filter(None, warnings)), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except MeshError as fault:
        sys.exit(str(fault))
