"""The local mesh: which parts there are, in which order they start, and what is done while they run."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.local.aside import asking
from deploy.local.components import edges, services, valkey
from deploy.local.components.databases import Databases
from deploy.local.components.postgres import Postgres
from deploy.local.components.services import Services
from deploy.local.control import Control
from deploy.local.failures import MeshError, describe
from deploy.local.forking.forker import Forker
from deploy.local.options import ROOT, Options
from deploy.local.state import switch_files
from deploy.local.state.certificate_files import CertificateFiles
from deploy.local.state.credentials import Credentials
from deploy.local.state.endpoints import SMS_ACCOUNT, Edge, Endpoints
from deploy.local.state.home import Home
from deploy.local.state.mesh_file import MeshFile
from deploy.local.state.ports import Ports
from deploy.local.state.preparation import Preparation
from deploy.local.supervisor.journal import Journal
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.python import module, python_environment
from deploy.local.supervisor.readiness import greets, listens, post
from deploy.local.supervisor.supervisor import Supervisor

RETRY_S = 1.0
"""Seconds until the mesh file is written again that a full disk refused."""
MAX_ACCESS_LOG_BYTES = 20 << 20
"""Size of an edge's access log before it becomes `access-<n>.log.1`."""


class Mesh:
    """One run of the mesh in a home. `run` until a signal."""

    def __init__(self, options: Options, home: Home, journal: Journal) -> None:
        self._options = options
        self._home = home
        self._journal = journal
        self._services: Sequence[str] = ()
        self._secrets: Credentials
        self._certificates = CertificateFiles(home.certificates)
        self._supervisor = Supervisor(
            journal, home.run, lambda parts, seconds: services.health_request(parts, self._certificates, seconds)
        )
        self._forker = Forker()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Start everything, say `ready`, keep it running; returns after a signal, with nothing left.

        Raises `MeshError` where it does not start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        running = asyncio.create_task(self._run_parts())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            else:
                self._journal.info("stopping")
        finally:
            running.cancel()
            stopped.cancel()
            await asyncio.gather(running, stopped, return_exceptions=True)
            try:
                await self._supervisor.stop()
            finally:
                self._forker.stop()
                self._home.mesh_file.unlink(missing_ok=True)
            self._journal.info("stopped")

    def _on_stop(self) -> None:
        if self._stop.is_set():
            self._journal.info("killing every part")
            self._supervisor.kill()
        self._stop.set()

    async def _run_parts(self) -> None:
        began = time.monotonic()
        self._forker.begin()
        if any((self._options.database_url, self._options.redis_url, self._options.otlp_endpoint)):
            await self._supervisor.check(_external())
        begin = "deploy.local.aside.beginning:begin"
        self._services, self._secrets, event_key = await asking.call(self._supervisor, begin, self._home.folder)
        switch_files.clear(self._home.folder)
        ports = Ports(self._home.run / "ports.json")
        placed = edges.place(self._options, ports, self._home)
        postgres, endpoints, first, receivers = self._backing_parts(ports, placed[0].url)
        ports.save()
        if postgres is not None:
            await asyncio.to_thread(postgres.prepare)
            first.append(postgres.part())
        await self._supervisor.start(first)
        databases = Databases(
            self._options.database_url or (postgres.url if postgres else ""),
            self._options.database_prefix,
            self._secrets,
        )
        parts = Services(self._options, endpoints, databases, self._secrets, self._certificates, event_key)
        preparation = Preparation(postgres.prepared if postgres else None, self._secrets)
        due = [name for name in self._services if preparation.is_due(name)]
        if due:
            await asking.call(self._supervisor, "deploy.local.aside.providing:provide", databases, due)
        await asyncio.gather(*(self._supervisor.run(parts.preparation(name)) for name in due))
        for name in due:
            preparation.record(name)
        self._journal.info(f"databases are up to date ({time.monotonic() - began:.1f} s)")
        await self._start_services(receivers, parts, placed, endpoints)
        file = MeshFile(self._home, self._options, placed, endpoints, self._secrets, self._certificates)
        file.write(self._pids())
        self._journal.info(f"everything is ready ({time.monotonic() - began:.1f} s)")
        self._journal.announce(f"ready {placed[0].url}")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(file))
            tasks.create_task(self._every(10, lambda: self._rotate_access_logs(placed)))
            tasks.create_task(self._every(3600, self._renew_certificates))
            control = Control(self._home, self._supervisor, parts, self._secrets, self._services, self._journal)
            tasks.create_task(control.serve())

    async def _start_services(
        self, receivers: list[Part], parts: Services, placed: list[Edge], endpoints: Endpoints
    ) -> None:
        """Start what is forked and the edges together, as an edge is only ready when a service answers through it."""

        async def start_edges() -> None:
            write = "deploy.local.aside.edge_files:write"
            commands = await asking.call(self._supervisor, write, placed, self._options, endpoints, forks=self._forker)
            pairs = zip(placed, commands, strict=True)
            await self._supervisor.start([edges.part(edge, words, self._options, self._home) for edge, words in pairs])

        await self._forker.ready()
        services = [part for name in self._services for part in parts.replicas(name)]
        try:
            async with asyncio.TaskGroup() as starting:
                for level in (receivers, services):  # in this order, as what is started last is stopped first
                    forked = [replace(part, forks=self._forker) for part in level]
                    starting.create_task(self._supervisor.start(forked))
                starting.create_task(start_edges())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def _backing_parts(self, ports: Ports, edge_url: str) -> tuple[Postgres | None, Endpoints, list[Part], list[Part]]:
        """What services need, embedded or by its address in the environment; then what takes what they send."""
        options, secrets = self._options, self._secrets
        parts: list[Part] = []
        receivers: list[Part] = []
        postgres = None
        if not options.database_url:
            connections = 40 + 16 * options.replicas * len(self._services)
            postgres = Postgres(self._home, secrets.database_password, ports.take("postgres"), connections)
        redis_url = options.redis_url
        if not redis_url:
            port = ports.take("valkey")
            redis_url = valkey.url(secrets.redis_password, port)
            parts.append(valkey.part(self._home, secrets.redis_password, port))
        smtp_port = ports.take("mail")
        receivers.append(_mail(smtp_port, secrets, self._home, edge_url))
        sms_port, push_port, webhook_port = (ports.take(name) for name in ("sms", "push", "webhooks"))
        receivers.append(_sinks((sms_port, push_port, webhook_port), secrets, self._home, edge_url))
        otlp_endpoint = options.otlp_endpoint
        if not otlp_endpoint:
            socket = self._home.sockets / "traces.sock"
            otlp_endpoint = f"unix://{socket}"
            receivers.append(_traces(socket, self._home))
        endpoints = Endpoints(
            redis_url=redis_url,
            otlp_endpoint=otlp_endpoint,
            smtp_url=f"smtp://weft:{secrets.mail_password}@127.0.0.1:{smtp_port}?starttls=off",
            sms_url=f"http://{SMS_ACCOUNT}:{secrets.sms_password}@127.0.0.1:{sms_port}",
            push_url=f"http://weft:{secrets.push_password}@127.0.0.1:{push_port}",
            webhook_url=f"http://weft:{secrets.webhook_password}@127.0.0.1:{webhook_port}",
            addresses={name: self._addresses(ports, name, "grpc") for name in self._services},
            metrics={name: self._addresses(ports, name, "metrics") for name in self._services},
        )
        return postgres, endpoints, parts, receivers

    def _addresses(self, ports: Ports, name: str, use: str) -> tuple[str, ...]:
        numbers = range(1, self._options.replicas + 1)
        return tuple(f"127.0.0.1:{ports.take(f'{name}-{number} {use}')}" for number in numbers)

    def _pids(self) -> dict[str, list[int]]:
        return {"mesh": [os.getpid()], **self._supervisor.pids()}

    async def _follow(self, file: MeshFile) -> None:
        """Keep the process ids in the mesh file up to date."""
        written = True
        while True:
            with contextlib.suppress(TimeoutError):  # what the disk refused is retried
                async with asyncio.timeout(None if written else RETRY_S):
                    await self._supervisor.changes()
            try:
                file.write(self._pids())
                written = True
            except OSError:
                written = False

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do something every `seconds`. What the disk refuses is reported, and retried the next time."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except (MeshError, OSError) as error:
                fault = describe(error, self._home.folder) if isinstance(error, OSError) else error
                self._journal.info(f"{fault} It is retried in {seconds:.0f} s.")

    async def _rotate_access_logs(self, placed: list[Edge]) -> None:
        for edge in placed:
            if edge.access_log.exists() and edge.access_log.stat().st_size > MAX_ACCESS_LOG_BYTES:
                edge.access_log.replace(edge.access_log.with_name(f"{edge.access_log.name}.1"))
                await post(edge.admin, "/reopen_logs")

    async def _renew_certificates(self) -> None:
        renew = "deploy.local.aside.beginning:renew"
        if renewed := await asking.call(self._supervisor, renew, self._home.folder, self._services):
            self._journal.info(f"certificates renewed: {', '.join(renewed)}")


def _external() -> Part:
    return Part("external", "external", module("deploy.local.components.external"), python_environment(), ROOT)


def _mail(port: int, secrets: Credentials, home: Home, edge_url: str) -> Part:
    command = module("deploy.local.components.mail_sink", str(port), home.mail)
    told = {"WEFT_EDGE_URL": edge_url, "WEFT_EVENT_KEY": secrets.event_key}
    env = {**python_environment(), "WEFT_MAIL_PASSWORD": secrets.mail_password, **told}
    return Part("mail", "mail", command, env, ROOT, greets(port), ports=(port,))


def _sinks(ports: tuple[int, int, int], secrets: Credentials, home: Home, edge_url: str) -> Part:
    folders = (home.sms, home.push, home.webhooks)
    places = [str(word) for place in zip(ports, folders, strict=True) for word in place]
    env = {
        **python_environment(),
        "WEFT_SMS_PASSWORD": secrets.sms_password,
        "WEFT_PUSH_PASSWORD": secrets.push_password,
        "WEFT_WEBHOOK_PASSWORD": secrets.webhook_password,
        "WEFT_EDGE_URL": edge_url,
    }
    command = module("deploy.local.sinks.together", *places)
    return Part("sinks", "sinks", command, env, ROOT, listens(ports[-1]), ports=ports)


def _traces(socket: Path, home: Home) -> Part:
    command = module("deploy.local.components.trace_receiver", socket, home.traces)
    return Part("traces", "traces", command, python_environment(), ROOT, listens(socket))
