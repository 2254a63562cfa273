"""Writes the configurations of the edges."""

import os
from collections.abc import Sequence

import contract
from codegen import envoy, explorer, openapi
from contract import SERVED
from deploy.local.components import edges
from deploy.local.options import ROOT, Options
from deploy.local.state.certificate_files import EDGE, EDGE_SERVER, CertificateFiles
from deploy.local.state.endpoints import Edge, Endpoints
from deploy.local.state.home import Home

CORES_PER_REPLICA = 2
"""What one replica, Envoy and PostgreSQL keep busy between them: with no more, replicas gain nothing by working concurrently."""


def write(placed: Sequence[Edge], options: Options, endpoints: Endpoints) -> list[list[str]]:
    """Write the files of each edge; the commands that run them, in the same order."""
    home = Home(options.home)
    return [_write(edge, options, endpoints, CertificateFiles(home.certificates), home) for edge in placed]


def _write(edge: Edge, options: Options, endpoints: Endpoints, certificates: CertificateFiles, home: Home) -> list[str]:
    deployment = envoy.Deployment(
        folder=edges.folder(edge, home),
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
    envoy.write(contract.load(SERVED), deployment)
    return [str(word) for word in envoy.command(deployment)]


def _otlp(endpoint: str) -> str:
    scheme, _, address = endpoint.partition("://")
    if scheme == "https":
        return endpoint.rstrip("/")
    return f"unix:{address}" if scheme == "unix" else address.rstrip("/")
