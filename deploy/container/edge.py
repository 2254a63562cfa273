"""The edge's container: its configuration from the contract and the environment, Envoy as a child, a soft end on SIGTERM.

Envoy ends at once on SIGTERM. As PID 1 this process drains it before.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydantic_settings
from pydantic import ValidationError

import contract
from chassis.environments.edge import RULES
from chassis.environments.rule import refusals, unknown_cleartext
from codegen import envoy
from codegen.edge_settings import EdgeSettings
from codegen.envoy.bootstrap import CONFIG
from deploy.container.drain import drain


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and what to write."""


GENERATED = Path(__file__).resolve().parents[2] / "gen"


PORT = 50051
"""Of a service that a mesh for development does not name in `WEFT_PEERS`: a new one, which has its own name there."""


def deployment(settings: EdgeSettings) -> envoy.Deployment:
    """What the settings say, for the generator of the configuration."""
    http, https, metrics = map(
        _place, (settings.edge_http_listen, settings.edge_https_listen, settings.edge_metrics_listen)
    )
    scheme, _, receiver = settings.otlp_endpoint.rstrip("/").partition("://")
    return envoy.Deployment(
        folder=settings.edge_folder,
        services={name: tuple(settings.peers.get(name) or (f"{name}:{PORT}",)) for name in _services()},
        replicas=settings.edge_replicas,
        http_address=http[0], http_port=http[1],
        https_address=https[0], https_port=https[1],
        metrics_address=metrics[0], metrics_port=metrics[1],
        jwks_port=9902,
        descriptors=GENERATED / "contract.binpb",
        openapi=GENERATED / "openapi" / "openapi.json",
        docs=settings.edge_baked / "docs",
        front=settings.edge_baked / "front",
        ca=settings.tls_ca, client_cert=settings.tls_cert, client_key=settings.tls_key,
        server_cert=settings.edge_server_cert, server_key=settings.edge_server_key,
        issuer=settings.issuer,
        otlp_ca=Path("/etc/ssl/certs/ca-certificates.crt"),
        otlp=settings.otlp_endpoint.rstrip("/") if scheme == "https" else receiver,
        trace_ratio=settings.trace_ratio,
        edges=settings.edges,
        cors_origins=tuple(settings.edge_cors_origins),
        trusted_hops=settings.edge_trusted_hops,
        concurrency=CONCURRENCY,
        labels={"service.instance.id": socket.gethostname()},
    )  # fmt: skip


CONCURRENCY = 2
"""Envoy's worker threads; the baked module has each worker's share of the limits in it."""


def read(**overrides: Any) -> EdgeSettings:
    """The settings of this container. Raises `SettingsError` with one sentence where one is missing or wrong."""
    try:
        found = EdgeSettings(**overrides)
    except ValidationError as error:
        faults = "; ".join(f"WEFT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg'].lower()}" for e in error.errors())
        raise SettingsError(f"settings are wrong: {faults}.") from None
    except pydantic_settings.SettingsError as error:
        raise SettingsError(f"settings are wrong: {error}; write JSON.") from None
    if refused := unknown_cleartext(found.cleartext_allowed) or refusals(RULES, found):
        raise SettingsError(refused)
    missing = [name for name in _services() if not any(found.peers.get(name, ()))]
    if missing and found.environment != "development":
        raise SettingsError(
            f"WEFT_PEERS: nobody would answer for {', '.join(missing)}; name an address of each service."
        )
    if found.edge_https_listen and not (found.edge_server_cert and found.edge_server_key):
        raise SettingsError("set WEFT_EDGE_SERVER_CERT and WEFT_EDGE_SERVER_KEY, or WEFT_EDGE_HTTPS_LISTEN to nothing.")
    return found


def _services() -> list[str]:
    return [package.split(".")[1] for package in contract.load(contract.SERVED).packages]


def main() -> None:
    """Run until Envoy ends, or SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # until Envoy runs; a PID 1 without a handler never gets them
    try:
        settings = read()
    except SettingsError as error:
        sys.exit(f"weft-edge: {error}")
    made = deployment(settings)
    made.folder.mkdir(parents=True, exist_ok=True)
    for name, text in envoy.files(contract.load(contract.SERVED), made).items():
        (made.folder / name).write_text(text)
    shutil.copyfile(settings.edge_baked / "callers.wasm", made.folder / "callers.wasm")
    child = subprocess.Popen(envoy.command(made), env={"PATH": os.environ["PATH"]}, cwd=made.folder)

    def end(*_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _terminate(child.pid))  # who asks twice does not want to wait
        _say("draining")
        asyncio.run(drain(made.admin_socket, settings.edge_drain))
        _terminate(child.pid)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    _say("started", config=str(made.folder / CONFIG))
    sys.exit(_reap(child))


def _terminate(pid: int) -> None:
    """Ask Envoy to end. Not by `Popen`, which would take its exit code from `_reap`."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _reap(child: "subprocess.Popen[bytes]") -> int:
    """Envoy's exit code; whatever else ends is taken from the process table, as PID 1 must."""
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status) % 256


def _place(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return (host.strip("[]"), int(port)) if port else ("127.0.0.1", 0)


def _say(event: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"service": "edge", "event": event, **more}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
