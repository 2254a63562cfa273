"""The edge's container: its configuration from the contract and the environment, Envoy as a child, a soft end on SIGTERM.

Envoy ends at once on SIGTERM. As PID 1 this process drains it before.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pydantic_settings
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

import contract
from codegen import envoy
from codegen.envoy.bootstrap import CONFIG
from deploy.container.drain import drain


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and what to write."""


GENERATED = Path(__file__).resolve().parents[2] / "gen"


class EdgeSettings(BaseSettings):
    """The settings of an edge's container, `WEFT_…`; files are PEM, addresses `host:port`."""

    model_config = SettingsConfigDict(env_prefix="WEFT_", frozen=True, extra="ignore")

    environment: Literal["production", "staging", "development"] = Field(
        "production", description="Outside development the edge needs certificates."
    )
    edge_folder: Path = Field(
        Path("/run/weft"), description="Where the configuration is written and the admin socket is."
    )
    edge_baked: Path = Field(Path("/opt/weft/edge"), description="What `deploy.container.bake` has made for the image.")
    peers: dict[str, list[str]] = Field(
        description="Addresses of each service, as JSON; names are resolved again and again."
    )
    edge_replicas: int = Field(1, ge=1, description="How many processes of a service are behind each address.")
    edge_http_listen: str = Field("", description="Plain HTTP; empty for none. Passwords cross it in the clear.")
    edge_https_listen: str = Field("0.0.0.0:8443", description="HTTPS; empty for none.")
    edge_metrics_listen: str = Field("0.0.0.0:9901", description="`/stats/prometheus` and `/ready`.")
    edge_server_cert: Path | None = Field(None, description="What callers see over HTTPS.")
    edge_server_key: Path | None = Field(None, description="Its key.")
    tls_cert: Path | None = Field(None, description="What the services see: `spiffe://weft/edge`.")
    tls_key: Path | None = Field(None, description="Its key.")
    tls_ca: Path | None = Field(None, description="The authorities of the mesh.")
    issuer: str = Field(
        "https://weft.local", description="The issuer of tokens: the URL under which callers reach the edge."
    )
    otlp_endpoint: str = Field("", description="Where spans go, `http://host:port`; empty for nowhere.")
    trace_ratio: float = Field(1.0, ge=0, le=1, description="Share of calls that are traced.")
    edges: int = Field(1, ge=1, description="How many edges share the callers; each has its share of the limits.")
    edge_cors_origins: list[str] = Field([], description="Origins that browsers may call from, as JSON.")
    edge_trusted_hops: int = Field(0, ge=0, description="Proxies before the edge whose `x-forwarded-for` is trusted.")
    edge_drain: float = Field(10.0, ge=0, description="Seconds, at most, that callers have to leave.")


def deployment(settings: EdgeSettings) -> envoy.Deployment:
    """What the settings say, for the generator of the configuration."""
    http, https, metrics = map(
        _place, (settings.edge_http_listen, settings.edge_https_listen, settings.edge_metrics_listen)
    )
    scheme, _, receiver = settings.otlp_endpoint.rstrip("/").partition("://")
    return envoy.Deployment(
        folder=settings.edge_folder,
        services={name: tuple(addresses) for name, addresses in settings.peers.items()},
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
    if found.environment != "development" and not (found.tls_cert and found.tls_key and found.tls_ca):
        raise SettingsError("set WEFT_TLS_CERT, WEFT_TLS_KEY and WEFT_TLS_CA, or WEFT_ENVIRONMENT=development.")
    if found.edge_https_listen and not (found.edge_server_cert and found.edge_server_key):
        raise SettingsError("set WEFT_EDGE_SERVER_CERT and WEFT_EDGE_SERVER_KEY, or WEFT_EDGE_HTTPS_LISTEN to nothing.")
    return found


def main() -> None:
    """Run until Envoy ends, or SIGTERM."""
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
            signal.signal(number, lambda *_: child.terminate())  # who asks twice does not want to wait
        _say("draining")
        asyncio.run(drain(made.admin_socket, settings.edge_drain))
        child.terminate()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    _say("started", config=str(made.folder / CONFIG))
    sys.exit(_reap(child))


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
