"""`grpc.health.v1`: ready means that the service's own database answers and is migrated, not that its neighbours do."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

from chassis.errors import WeftError
from chassis.storage import migrations
from chassis.storage.database import Database, Query
from chassis.telemetry import probes
from chassis.telemetry.logs import logger

log = logger("health")
CHECK_INTERVAL_S = 2.0
CHECK_TIMEOUT_S = 2.0
"""For the database to answer; a statement that hangs ends by itself (`connections`)."""
_REVISION = Query("SELECT version_num FROM alembic_version", name="check revision")
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Keeps the standard health service up to date, for the process (``) and each of its services."""

    def __init__(self, database: Database, folder: Path, services: Sequence[str]) -> None:
        self.servicer = health_aio.HealthServicer()
        self._database = database
        self._head = migrations.head(folder)
        self._services = ["", *services]
        self._stopping = False

    async def ready(self) -> bool:
        """Whether the database answers and has at least the newest migration that this process knows."""
        check = asyncio.ensure_future(self._database.first(_REVISION))
        check.add_done_callback(_ignore_exception)
        # Not cancelled when it is late: cancelling a statement needs an answer of the same server.
        try:
            await asyncio.wait({check}, timeout=CHECK_TIMEOUT_S)
        except asyncio.CancelledError:
            check.cancel()  # the process ends
            raise
        if not check.done():
            log.warning("not_ready", cause="timeout")
            return False
        try:
            row = check.result()
        except WeftError as error:
            log.warning("not_ready", cause=type(error).__name__)
            return False
        except Exception as error:
            log.warning("not_ready", cause=repr(error))
            return False
        return row is not None and row.version_num >= self._head

    async def watch(self) -> None:
        """Check periodically, until cancelled; health requests never wait for the database."""
        known: bool | None = None
        while not self._stopping:
            now = await self.ready()
            if now is not known and not self._stopping:
                known = now
                await self._set(_SERVING if now else _NOT_SERVING)
            await asyncio.sleep(CHECK_INTERVAL_S if now else 0.2)

    async def stop(self) -> None:
        """Report NOT_SERVING from now on: edges and clients choose another replica."""
        self._stopping = True
        probes.PROCESS.ready = False
        await self.servicer.enter_graceful_shutdown()

    async def _set(self, status: Any) -> None:
        probes.PROCESS.ready = status == _SERVING
        for service in self._services:
            await self.servicer.set(service, status)


def _ignore_exception(check: "asyncio.Future[Any]") -> None:
    """Retrieve its exception, which nobody waits for any more."""
    if not check.cancelled():
        check.exception()
