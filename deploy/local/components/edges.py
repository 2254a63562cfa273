"""The Envoys, as parts; their configuration is derived from the contract."""

import os

from codegen import envoy, explorer, openapi
from contract import SERVED, Contract
from deploy.container.drain import drain
from deploy.local.options import HTTP_PORT, ROOT, Options
from deploy.local.state.certificates import EDGE, EDGE_SERVER, Certificates
from deploy.local.state.endpoints import Edge, Endpoints
from deploy.local.state.home import Home
from deploy.local.state.ports import Ports
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.readiness import answers

HTTPS_PORT = 8443
"""Where the first edge speaks HTTPS when nothing else does, and nobody has chosen another port for its HTTP.

Who has done so has more than one mesh: each would find this port free while the others are still starting.
"""
NOTICE_S, IDLE_S = 1.0, 1.0
"""An edge that is replaced: for balancers to see that it is not ready, and without a call before connections that are open are closed."""
CORES_PER_REPLICA = 2
"""What one replica, Envoy and PostgreSQL keep busy between them: with no more, replicas gain nothing by working concurrently."""


def place(options: Options, ports: Ports, home: Home) -> list[Edge]:
    """Choose the ports of every edge; the first has `WEFT_EDGE_PORT`."""
    return [
        Edge(
            number=number,
            http_port=options.edge_port if number == 1 else ports.take(f"edge-{number} http"),
            https_port=ports.take(
                f"edge-{number} https", wish=HTTPS_PORT if number == 1 and options.edge_port == HTTP_PORT else 0
            ),
            metrics_port=ports.take(f"edge-{number} metrics"),
            jwks_port=ports.take(f"edge-{number} jwks"),
            access_log=home.logs / f"access-{number}.log",
            admin=home.sockets / f"edge-{number}.sock",
        )
        for number in range(1, options.edges + 1)
    ]


def part(
    edge: Edge, contract: Contract, options: Options, endpoints: Endpoints, certificates: Certificates, home: Home
) -> Part:
    """Write the edge's configuration and describe its process."""
    deployment = envoy.Deployment(
        folder=home.run / f"edge-{edge.number}",
        services=endpoints.addresses,
        http_port=edge.http_port,
        https_port=edge.https_port,
        metrics_port=edge.metrics_port,
        admin=edge.admin,
        jwks_port=edge.jwks_port,
        descriptors=SERVED,
        openapi=ROOT / openapi.FILE,
        docs=explorer.write(home.run / "docs").parent,
        front=explorer.front(home.run / "front"),
        ca=certificates.ca,
        client_cert=certificates.certificate(EDGE),
        client_key=certificates.key(EDGE),
        server_cert=certificates.certificate(EDGE_SERVER),
        server_key=certificates.key(EDGE_SERVER),
        issuer=options.issuer,
        otlp=_otlp(endpoints.otlp_endpoint),
        trace_ratio=options.trace_ratio,
        edges=options.edges,
        time_slicing=options.replicas > 1 and len(os.sched_getaffinity(0)) <= CORES_PER_REPLICA,
        access_log=edge.access_log,
        refusals=options.refusals,
    )
    envoy.write(contract, deployment)

    async def leave(seconds: float) -> None:
        await drain(edge.admin, seconds, notice_s=NOTICE_S if seconds > NOTICE_S else 0, idle_s=IDLE_S)

    return Part(
        name=f"edge-{edge.number}",
        group="envoy",
        command=tuple(map(str, envoy.command(deployment))),
        env={"PATH": "/usr/bin:/bin"},
        folder=deployment.folder,
        # What it says itself, and a call that goes through it to a service.
        probe=answers((edge.admin, "/ready"), (edge.http_port, "/.well-known/jwks.json")),
        ports=(edge.http_port, edge.https_port, edge.metrics_port, edge.jwks_port),
        stop_grace_s=1.5,
        drain=leave,
        drain_s=options.edge_drain,
    )


def _otlp(endpoint: str) -> str:
    scheme, _, address = endpoint.partition("://")
    if scheme == "https":
        return endpoint.rstrip("/")
    return f"unix:{address}" if scheme == "unix" else address.rstrip("/")
