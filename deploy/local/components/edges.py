"""The Envoys, as parts; their configuration is derived from the contract (`deploy/local/aside/edge_files.py`)."""

from collections.abc import Sequence
from pathlib import Path

from deploy.container.drain import drain
from deploy.local.options import HTTP_PORT, Options
from deploy.local.state.endpoints import Edge
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


def part(edge: Edge, command: Sequence[str], options: Options, home: Home) -> Part:
    """Describe the process of an edge whose configuration is written."""

    async def leave(seconds: float) -> None:
        await drain(edge.admin, seconds, notice_s=NOTICE_S if seconds > NOTICE_S else 0, idle_s=IDLE_S)

    return Part(
        name=f"edge-{edge.number}",
        group="envoy",
        command=tuple(command),
        env={"PATH": "/usr/bin:/bin"},
        folder=folder(edge, home),
        # What it says itself, and a call that goes through it to a service.
        probe=answers((edge.admin, "/ready"), (edge.http_port, "/.well-known/jwks.json")),
        ports=(edge.http_port, edge.https_port, edge.metrics_port, edge.jwks_port),
        stop_grace_s=1.5,
        drain=leave,
        drain_s=options.edge_drain,
    )


def folder(edge: Edge, home: Home) -> Path:
    """Where its configuration is."""
    return home.run / f"edge-{edge.number}"
