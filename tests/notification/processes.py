"""The notification service as a process of its own, and what is published to it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from weft.notification.v1 import event_service_pb2, event_service_pb2_grpc

from tests.harness import DATA_KEY, ISSUER, Harness
from tests.servers import free_ports

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(harness: Harness, prefix: str, environment: dict[str, str]) -> AsyncIterator[tuple[int, str]]:
    """The service as a process of its own: its pid and address. Killed at the end."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    ours = {
        "WEFT_ENVIRONMENT": "development",
        "WEFT_LISTEN": address,
        "WEFT_DATABASE_URL": harness.postgres_url,
        "WEFT_DATABASE_PREFIX": prefix,
        "WEFT_DATA_KEYS": json.dumps({"k1": DATA_KEY}),
        "WEFT_ISSUER": ISSUER,
        "WEFT_INTERNAL_CALLERS": '["internal"]',
        "WEFT_TLS_CERT": str(harness.certificates.certificate("notification")),
        "WEFT_TLS_KEY": str(harness.certificates.key("notification")),
        "WEFT_TLS_CA": str(harness.certificates.ca),
    }
    started = subprocess.Popen(  # noqa: ASYNC220 - starting is quick
        [sys.executable, "-m", "services.notification"],
        cwd=ROOT,
        env={**os.environ, **ours, **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield started.pid, address
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()


async def publish(harness: Harness, address: str, batch: list) -> int:
    """Publish to a process that may still be starting; how many events were new."""
    channel = harness.channel("notification", address)
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    new = 0
    for start in range(0, len(batch), 100):  # what a call may have
        request = event_service_pb2.PublishEventsRequest(events=batch[start : start + 100])
        new += (await stub.PublishEvents(request, wait_for_ready=True, timeout=20)).new_count
    await channel.close()
    return new
