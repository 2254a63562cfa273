"""The command line of a service: `python -m services.order [serve | migrate | bootstrap | queues | reencrypt]`, and more of its own."""

import asyncio
import atexit
import contextlib
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import psycopg
import uvloop
from opentelemetry.sdk.resources import Resource
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError

from chassis import errors, settings, tasks
from chassis.app import App
from chassis.commands.queues import run as inspect_queues
from chassis.faults import catalogue, switches
from chassis.settings import Settings, SettingsError
from chassis.storage import database
from chassis.storage import migrations as migrating
from chassis.storage.reencryption import ValuesUnreadable, reencrypt
from chassis.telemetry import logs, resource, tracing
from chassis.telemetry.log_export import LogSender

Build = Callable[[App], Awaitable[None]]
Command = Callable[[App, Sequence[str]], AsyncIterator[str]]
"""Takes the words after its name; yields lines for the operator. What the operator got wrong is a `SettingsError`."""
log = logs.logger("process")
_ABORT_TIMEOUT_S = 3.0
"""To close what a failed start has opened, and for its tasks to end."""


def main(
    name: str,
    build: Build,
    *,
    metadata: MetaData,
    migrations: Path,
    bootstrap: Callable[[App], Awaitable[None]] | None = None,
    commands: Mapping[str, Command] | None = None,
) -> None:
    """Run one command of a service and exit: 0 when it ended well, 1 with one sentence when it did not.

    `commands` are those that this service has beside the ones of every service.
    """
    own = {"reencrypt": _reencrypt, **(commands or {})}
    # gRPC's core writes text to standard error, also for what strangers send; set the variable to see it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    command = sys.argv[1] if len(sys.argv) > 1 else "serve"
    if command != "serve":
        gc.enable()  # a service is imported without
    try:
        read = settings.read(migrates=command == "migrate")
        _check_database_url(read)
        who, stop_logs = _start_logs(name, read, command)
        if command == "migrate":
            _migrate(name, read, metadata, migrations)
        elif command == "bootstrap":
            uvloop.run(_bootstrap(lambda: App(name, read, metadata=metadata, migrations=migrations), bootstrap))
        elif command == "queues":
            app = App(name, read, metadata=metadata, migrations=migrations)
            uvloop.run(inspect_queues(app, sys.argv[2:]))
        elif command == "serve":
            _interrupt_nobody()
            _follow_switches(read)
            tracer = _start_telemetry(read, who)

            def leave(code: int) -> NoReturn:
                tracing.stop()
                stop_logs()
                _leave(code)

            make = partial(App, name, read, metadata=metadata, migrations=migrations, tracer=tracer)
            uvloop.run(_serve(make, build, leave))
        elif command in own:
            uvloop.run(
                _command(lambda: App(name, read, metadata=metadata, migrations=migrations), own[command], sys.argv[2:])
            )
        else:
            known = ", ".join(("serve", "migrate", "bootstrap", "queues", *own))
            sys.exit(f"weft-{name}: there is no command {command!r}; use one of {known}.")
    except Exception as error:
        if not (sentence := _sentence(error)):
            raise
        sys.exit(f"weft-{name}: {sentence}")


def _interrupt_nobody() -> None:
    """Whoever runs goes on when one of our threads wakes up: gRPC's wake the event loop some four times a call.

    Before any thread begins, as threads inherit it (docs/decisions/0118). Where there are cores to spare it changes nothing.
    """
    with contextlib.suppress(AttributeError, OSError):  # Linux has it, and a sandbox may forbid it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _sentence(error: BaseException) -> str:
    """What is wrong and what to do about it; empty for unexpected errors, which are raised."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig  # what SQLAlchemy wraps
    if isinstance(error, SettingsError | ValuesUnreadable):
        return str(error)
    if isinstance(error, errors.ServiceUnavailable):
        return database_fault(error.__cause__ or error)
    if isinstance(error, psycopg.OperationalError | psycopg.errors.InsufficientPrivilege):
        return database_fault(error)
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"it cannot start: {error.strerror or error}{where}; fix that and start it again."
    return ""


def database_fault(error: BaseException) -> str:
    """The server's message, and what to do about it. It may name roles and databases, never a password."""
    said = str(error).strip().split("\n\t")[0]
    if "FATAL:" in said or isinstance(error, psycopg.errors.InsufficientPrivilege):
        reason = f"refuses ({said.rpartition('FATAL:')[2].strip().splitlines()[0]})"
    else:
        lines = [line.rpartition("failed: ")[2] for line in said.splitlines() if line.strip()]
        reason = f"does not answer ({lines[-1] if lines else type(error).__name__})"
    return f"the database {reason}; check WEFT_DATABASE_URL and the server."


def _check_database_url(read: Settings) -> None:
    try:
        conninfo_to_dict(read.database_url.get_secret_value())
    except psycopg.ProgrammingError:  # whose text may hold the password
        raise SettingsError("WEFT_DATABASE_URL: write postgresql://role:password@host:port.") from None


def _start_logs(name: str, read: Settings, command: str) -> tuple[Resource, Callable[[], None]]:
    """A serving process logs to standard output, which is what a container's logs are; there a command writes its answer.

    The second of what it returns sends the lines that are left.
    """
    who = resource.describe(name, read.version, read.environment)
    send = None
    if command == "serve" and read.otlp_logs_endpoint:
        send = LogSender(read.otlp_logs_endpoint, who)
        atexit.register(send.stop)
    logs.configure(name, read.log_level, sys.stdout if command == "serve" else sys.stderr, send)
    return who, send.stop if send else lambda: None


def _leave(code: int) -> NoReturn:
    """Exit at once: the loop's end and the interpreter's wait for threads, and one may ask a name server that does not answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _follow_switches(read: Settings) -> None:
    if not (read.faults or read.faults_file):
        return
    allowed = read.faults_allowed if read.environment == "production" else catalogue.OF_PROCESS
    log.warning("failure_switches", on=read.faults, file=str(read.faults_file or ""))
    if read.faults_file:
        switches.follow(read.faults, read.faults_file, allowed)
    else:
        switches.turn(read.faults)


def _start_telemetry(read: Settings, who: Resource) -> tracing.Tracer:
    try:
        return tracing.start(who, read.otlp_endpoint, read.trace_ratio, read.metrics_listen)
    except OSError as error:
        raise SettingsError(
            f"WEFT_METRICS_LISTEN: {read.metrics_listen} is in use or not an address of this host ({error.strerror}); set another one."
        ) from None


def _migrate(name: str, read: Settings, metadata: MetaData, folder: Path) -> None:
    url = database.of_service(read.database_url.get_secret_value(), read.database_prefix, name)
    # The grants are the newer release's, too: its append-only tables are unknown here.
    if migrating.migrate(url, folder, metadata) and read.serving_role:
        migrating.grant(url, read.serving_role, metadata)


async def _bootstrap(make: Callable[[], App], bootstrap: Callable[[App], Awaitable[None]] | None) -> None:
    if bootstrap is None:
        return
    app = make()
    # Connects before the pool, which retries silently: this connection reports the server's error.
    async with migrating.advisory_lock(app.database_url):
        await app.database.open()
        try:
            await bootstrap(app)
        finally:
            await app.close()


async def _command(make: Callable[[], App], command: Command, words: Sequence[str]) -> None:
    app = make()
    await migrating.check_reachable(app.database_url)
    await app.database.open()
    try:
        async for line in command(app, words):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    finally:
        await app.close()


async def _reencrypt(app: App, words: Sequence[str]) -> AsyncIterator[str]:
    if list(words) not in ([], ["--count"]):
        raise SettingsError("Say `reencrypt`, or `reencrypt --count`, which changes nothing.")
    async for line in reencrypt(app.database, app.vault, app.metadata, change=not words):
        yield line


async def _serve(make: Callable[[], App], build: Build, leave: Callable[[int], NoReturn]) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then stop gracefully, and `leave`; a second signal exits immediately.

    `leave` takes the exit code: 1 where a part could not be stopped as it should.
    """
    app = make()
    if observed := app.settings.record_reasons:
        _record_reasons(observed)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await build(app)
        await app.start()
    except Exception as error:
        await _abort_start(app, error)
        raise
    _tune_garbage_collection()
    await stopping.wait()
    code = 0
    try:
        await app.stop()
    except Exception:
        log.exception("stop_failed")
        code = 1
    me = asyncio.current_task()
    await tasks.end(task for task in asyncio.all_tasks() if task is not me)
    leave(code)


async def _abort_start(app: App, error: Exception) -> None:
    """Close what a failed start has opened, and exit even if a task ignores its cancellation."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_ABORT_TIMEOUT_S):
            await app.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left and (await asyncio.wait(left, timeout=_ABORT_TIMEOUT_S))[1]:
        sys.stderr.write(f"weft-{app.name}: {_sentence(error) or repr(error)}\n")
        sys.stderr.flush()
        os._exit(1)


def _tune_garbage_collection() -> None:
    """Exclude what lives as long as the process from collections, and collect less often: calls free what they use.

    Collections took 5 % of the order service's CPU; generation 0 now holds some tens of calls.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def _record_reasons(path: Path) -> None:
    """Append `method reason` lines, for the tests that compare what is answered with what the contract declares."""
    file = path.open("a", buffering=1)

    def observe(method: str, reason: str) -> None:
        with contextlib.suppress(OSError):
            file.write(f"{method} {reason}\n")

    errors.observer = observe
