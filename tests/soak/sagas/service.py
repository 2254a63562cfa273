"""The order service as a process that dies, and is started again at the same address."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc

from tests.harness import DATA_KEY, ISSUER, Harness
from tests.servers import until

ROOT = Path(__file__).parents[3]


class Service:
    """`channel` leads to the process while it runs."""

    def __init__(self, harness: Harness, database_url: str, prefix: str, settings: Mapping[str, str]) -> None:
        """`settings`: of this service; its database, its identity and its callers are set here."""
        self._harness = harness
        self.channel: grpc.aio.Channel | None = None
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self._port = int(bound.getsockname()[1])
        certificates = harness.certificates
        self._environment = {
            **os.environ,
            "WEFT_LISTEN": f"127.0.0.1:{self._port}",
            "WEFT_DATABASE_URL": database_url,
            "WEFT_DATABASE_PREFIX": prefix,
            "WEFT_DATA_KEYS": json.dumps({"k1": DATA_KEY}),
            "WEFT_ISSUER": ISSUER,
            "WEFT_INTERNAL_CALLERS": '["internal"]',
            "WEFT_TLS_CERT": str(certificates.certificate("order")),
            "WEFT_TLS_KEY": str(certificates.key("order")),
            "WEFT_TLS_CA": str(certificates.ca),
            **settings,
        }

    @asynccontextmanager
    async def running(self, dies: str = "") -> AsyncIterator[subprocess.Popen[bytes]]:
        """Serving until it dies, at the latest at the end."""
        environment = {**self._environment, "JWKS": await self._harness.issuer.jwks(), "DIES": dies}
        command = [sys.executable, "-m", "tests.soak.sagas.dying_order"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - starting is quick
        try:
            await until(lambda: self._listens(process), "the service to listen", 60)
            self.channel = self._harness.channel("order", f"127.0.0.1:{self._port}")
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            channel, self.channel = self.channel, None
            if channel:
                await channel.close()

    async def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            return True  # dead already: its first step was the one to die at
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.close()
            return True
        return False
