"""One process of a service: its parts, its start and its stop.

async def build(app: App) -> None:
    app.add_service("weft.order.v1.OrderService", OrderHandlers(app.database), ReturnHandlers(app.database))
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
from sqlalchemy import MetaData
from weft.api.v1.usage_pb2 import CountedCalls
from weft_client import MutualTls
from weft_internal import InternalWeft

import contract
from chassis import tasks
from chassis.clock import Clock
from chassis.faults import effects
from chassis.queues import worker as workers
from chassis.queues.inspection import Inspection
from chassis.queues.outbox import MAX_EVENTS, Outbox, Relay
from chassis.queues.queue import Queue
from chassis.rpc import idempotency, servers, stages
from chassis.rpc.builtin.health import Health
from chassis.rpc.builtin.queue_handlers import QueueHandlers
from chassis.rpc.call import Call
from chassis.rpc.pagination import Pages
from chassis.rpc.stream_quota import StreamQuota
from chassis.security import modes
from chassis.security.encryption import Vault
from chassis.security.revocations import Revocations, watching
from chassis.security.tokens import TokenVerifier
from chassis.server_state import INTERVAL_S as MEASURE_INTERVAL_S
from chassis.server_state import ServerState
from chassis.settings import Settings, SettingsError
from chassis.storage import database, retention
from chassis.storage.cache import Cache
from chassis.storage.listener import listen
from chassis.telemetry import logs, tracing
from chassis.telemetry.tracing import Tracer
from chassis.telemetry.usage import Report, Usage

log = logs.logger("app")
Job = Callable[[], Awaitable[Any]]
RETRY_FOREVER: dict[str, Any] = {"max_attempts": 1_000_000, "max_overruns": None}
"""Options of a queue whose jobs must never become dead letters."""
DRAIN_IDLE_S = 0.3
"""Seconds without a call after which clients have noticed that the process is stopping."""


class App:
    """The parts of a service's process. `build` adds handlers and workers; then `start` and `stop` are called once."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        metadata: MetaData,
        migrations: Path,
        clock: Clock | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.metadata = metadata
        self.clock = clock or Clock()
        self.contract = contract.load(contract.SERVED)
        self.tracer = tracer or Tracer(None, 0)
        url = settings.database_url.get_secret_value()
        self.database_url = database.of_service(url, settings.database_prefix, name)
        self.database = database.Database(self.database_url, settings.pool_size, self.tracer, f"weft-{name}")
        keys = {key: value.get_secret_value() for key, value in settings.data_keys.items()}
        self.vault = Vault(keys, settings.encrypt_with)
        self.pages = Pages(self.vault.derive("page tokens"))
        self.clients = self._connect()
        self.tokens = TokenVerifier(settings.issuer, self._fetch_keys)
        self.revocations = Revocations(watching(self._connect))
        self.usage = Usage(self._report_usage)
        self.health: Health
        self.server_context: stages.ServerContext
        self._migrations = migrations
        self._served: dict[str, dict[str, Callable[[Any, Call], Any]]] = {}
        self._queues: list[Queue] = []
        self._workers: list[workers.Works] = []
        self._jobs: list[tuple[float, Job, str]] = []
        self._stops: list[Job] = []
        self._closes: list[Job] = []
        self._channels: dict[str, Callable[[str], None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._working: set[asyncio.Task[Any]] = set()
        self._server: grpc.aio.Server | None = None
        self._add_chassis_tables()

    def _add_chassis_tables(self) -> None:
        """Set up retention; idempotency, the outbox and the inspection of queues where the service has their tables."""
        self.schedule(retention.INTERVAL_S, retention.Sweep(self.database, self.metadata, self.clock).run, "retention")
        self.replies: idempotency.Replies | None = None
        if "idempotency" in self.metadata.tables:
            self.replies = idempotency.Replies(self.database, self.clock, self.vault)
        if "outbox" in self.metadata.tables:
            self.outbox = Outbox(self.queue("outbox", **RETRY_FOREVER))
            relay = Relay(lambda events: self.clients.events.publish_events(events=events), self.tracer)
            self.add_worker(workers.Worker(self.outbox.queue, relay, batch=MAX_EVENTS, breakers=[relay.breaker]))

        queues = f"weft.{self.name}.v1.QueueService"
        if "paused_queues" in self.metadata.tables and self.contract.of_service(queues):
            inspection = Inspection(self.database, self.metadata, self.clock)
            self.add_service(queues, QueueHandlers(inspection, self.pages))

    def _connect(self) -> InternalWeft:
        """A separate client: the circuit breaker and channel of other calls must not block keys and revocations."""
        return InternalWeft(self.settings.peers, tls=_client_tls(self.settings))

    async def _fetch_keys(self) -> str:
        clients = self._connect()
        try:
            return str((await clients.oauth.get_jwks()).data, "utf-8")
        finally:
            await clients.close()

    async def _report_usage(self, report: Report) -> None:
        counted = [
            CountedCalls(**{**key._asdict(), "mode": modes.to_message(key.mode)}, calls=calls)
            for key, calls in report.rows
        ]
        await self.clients.usage.report_usage(report_id=report.report_id, counted=counted)

    @cached_property
    def cache(self) -> Cache:
        """The shared cache, connected on first use: its library takes memory in every process that imports it."""
        from chassis.storage.valkey import connect  # its library takes 8 MB

        return connect(self.settings.redis_url.get_secret_value(), self.name)

    def add_service(self, service: str, *handlers: object) -> None:
        """Serve a gRPC service with objects that together have one async method for each RPC, named as in the proto."""
        names = [method.name for method in self.contract.of_service(service)]
        found = {name: [each for each in handlers if callable(getattr(each, name, None))] for name in names}
        missing = [name for name, having in found.items() if not having]
        if missing or not names:
            whose = " and ".join(type(each).__name__ for each in handlers)
            raise SettingsError(f"{whose} does not serve {', '.join(missing) or 'any RPC'} of {service}.")
        twice = [name for name, having in found.items() if len(having) > 1]
        if twice:
            raise SettingsError(f"More than one object serves {', '.join(twice)} of {service}.")
        self._served[service] = {name: getattr(having[0], name) for name, having in found.items()}

    def queue(self, table: str, **options: Any) -> Queue:
        """A work queue on one of the service's tables; options as for `Queue`."""
        queue = Queue(self.database, self.metadata.tables[table], self.clock, **options)
        self._queues.append(queue)
        self.schedule(15, queue.measure, f"measure {table}")
        return queue

    def add_worker(self, worker: workers.Works) -> None:
        """Run a worker in this process, unless `WEFT_WORK` is off."""
        self._workers.append(worker)

    def schedule(self, seconds: float, job: Job, name: str) -> None:
        """Run a job periodically, unless `WEFT_WORK` is off. Replicas may run it concurrently."""
        self._jobs.append((seconds, job, name))

    def on_notify(self, channel: str, callback: Callable[[], None]) -> None:
        """Call `callback` for each NOTIFY of a channel, and whenever some may have been missed."""
        self._channels[channel] = lambda _: callback()

    def on_change(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call `callback` with what each NOTIFY of a channel says, and with nothing whenever some may have been missed."""
        self._channels[channel] = callback

    def on_stop(self, end: Job) -> None:
        """Call `end` when the process begins to stop, before it waits for running calls: to end streams."""
        self._stops.append(end)

    def on_close(self, close: Job) -> None:
        """Call `close` once no call and no job runs any more: for connections of one's own."""
        self._closes.append(close)

    def run_in_background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine until the process stops."""
        self._tasks.add(asyncio.create_task(coroutine))

    async def start(self) -> int:
        """Connect and serve; returns the port, 0 where nothing is served."""
        await self.database.open()
        self.health = Health(self.database, self._migrations, list(self._served))
        port = await self._start_server() if self.settings.serve else 0
        self.run_in_background(self.health.watch())
        self.run_in_background(self._measure())
        self.run_in_background(tracing.measure_loop())
        measure = ServerState(self.database, self.clock).measure
        self.run_in_background(_run_periodically(MEASURE_INTERVAL_S, measure, "measure the database"))
        if self.settings.faults or self.settings.faults_file:
            self.run_in_background(effects.run(self.database_url))
        if port:
            self.run_in_background(self.tokens.fetch_first())
            self.run_in_background(self.revocations.follow())
            self.run_in_background(self.usage.run())
        if self.settings.work:
            for queue in self._queues:
                self.on_notify(queue.name, queue.on_notified)
            for worker in self._workers:
                if isinstance(worker, workers.Worker):
                    worker.yield_to(self._callers_wait)
                self._working.add(asyncio.create_task(worker.run()))
            for seconds, job, name in self._jobs:
                self.run_in_background(_run_periodically(seconds, job, name))
        if self._channels:
            self.run_in_background(listen(self.database_url, self._channels))
        log.info("started", port=port)
        return port

    async def stop(self) -> None:
        """Report not serving, wait for clients to leave, end streams, finish calls and jobs, close connections."""
        log.info("stopping")
        await self.health.stop()
        for worker in self._workers:
            worker.stop()
        async with AsyncExitStack() as rest:  # each, whatever becomes of those before it; the last one first
            rest.push_async_callback(self.close)
            rest.push_async_callback(self._end_tasks)
            rest.push_async_callback(self._stop_serving)
            for end in reversed(self._stops):
                rest.push_async_callback(end)
            await self._drain()
        log.info("stopped")

    async def _stop_serving(self) -> None:
        if self._server is not None:
            await self._server.stop(self.settings.stop_grace)
            await self.usage.stop()

    async def _end_tasks(self) -> None:
        if self._working:
            await asyncio.wait(self._working, timeout=self.settings.stop_grace)
        await tasks.end(self._tasks | self._working)

    async def close(self) -> None:
        """Close all connections, after what still uses them."""
        async with AsyncExitStack() as rest:
            rest.push_async_callback(self.database.close)
            if "cache" in vars(self):
                rest.push_async_callback(self.cache.close)
            rest.push_async_callback(self.clients.close)
            for close in self._closes:
                rest.push_async_callback(close)
            await self.tokens.close()

    async def _drain(self) -> None:
        """Serve until no call has arrived for `DRAIN_IDLE_S`, at most for `WEFT_DRAIN` seconds.

        A server that closes at once would break off the calls that arrive at that moment.
        """
        end, seen = monotonic() + self.settings.drain, -1
        while self._server is not None and self.server_context.calls != seen and monotonic() < end:
            seen = self.server_context.calls
            await asyncio.sleep(DRAIN_IDLE_S)

    async def _start_server(self) -> int:
        self.server_context = stages.ServerContext(
            contract=self.contract,
            tracer=self.tracer,
            tokens=self.tokens,
            revocations=self.revocations,
            replies=self.replies,
            trusted_callers=frozenset(self.settings.internal_callers),
            max_concurrent_calls=self.settings.max_concurrent_calls,
            stream_quota=StreamQuota(self.settings.max_streams_per_caller, self.settings.max_streams_per_partner),
            usage=self.usage,
        )
        self._server = servers.make(self.server_context, self._served, self.health)
        port = servers.listen(self._server, self.settings)
        await self._server.start()
        return port

    def _callers_wait(self) -> int:
        return self.server_context.waited_for if self._server is not None else 0

    async def _measure(self) -> None:
        while True:
            self.database.measure()
            tracing.IN_FLIGHT.set(self.server_context.in_flight if self._server else 0)
            await asyncio.sleep(5)


async def _run_periodically(seconds: float, job: Job, name: str) -> None:
    """Run a job about every `seconds`, with jitter to spread replicas; a failure is logged."""
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311
        try:
            await job()
        except Exception as error:
            log.warning("job_failed", job=name, cause=repr(error))


def _client_tls(settings: Settings) -> MutualTls | None:
    if settings.tls == "off":
        return None
    assert settings.tls_cert and settings.tls_key and settings.tls_ca
    return MutualTls(settings.tls_cert, settings.tls_key, settings.tls_ca)
