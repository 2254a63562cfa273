"""gRPC through grpc.aio, bytes in and bytes out, on as many channels as there are targets.

A source of requests gives pairs of metadata and message bytes; `arguments["method"]` is the path.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc

from bench.load.loops import Send
from bench.load.plan import Plan

Request = tuple[tuple[tuple[str, str], ...], bytes]
Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


def channel(target: str, tls: Mapping[str, str]) -> grpc.aio.Channel:
    """A channel of its own connection; with mTLS where `tls` names `ca`, `cert`, `key` and `name`."""
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
    if not tls:
        return grpc.aio.insecure_channel(target, options=options)
    ca, cert, key = (Path(tls[name]).read_bytes() for name in ("ca", "cert", "key"))
    credentials = grpc.ssl_channel_credentials(ca, key, cert)
    options.append(("grpc.ssl_target_name_override", tls["name"]))
    return grpc.aio.secure_channel(target, credentials, options=options)


async def senders(plan: Plan, requests: Iterator[Request]) -> tuple[list[Send], list[grpc.aio.Channel]]:
    """`plan.concurrency` senders over a channel for each target."""
    channels = [channel(target, plan.tls) for target in plan.targets]
    calls: Iterator[Call] = itertools.cycle([one.unary_unary(plan.arguments["method"]) for one in channels])

    def sender(call: Call) -> Send:
        async def send() -> str:
            metadata, message = next(requests)
            try:
                await call(message, metadata=metadata, timeout=10.0)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        return send

    return [sender(next(calls)) for _ in range(plan.concurrency)], channels
