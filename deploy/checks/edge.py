"""The edge's configuration as containers have it, written into a folder, for `envoy --mode validate`."""

from collections.abc import Sequence
from pathlib import Path

import contract
from codegen import envoy
from deploy.container import edge
from deploy.container.bake import bake
from deploy.local.state.certificates import EDGE, EDGE_SERVER, Certificates


def command(folder: Path) -> Sequence[str]:
    """Envoy's command on a configuration for production that is written into `folder`, with certificates made for it."""
    read = contract.load()
    names = [package.split(".")[1] for package in read.packages]
    (folder / "certs").mkdir()
    certificates = Certificates(folder / "certs", names)
    certificates.ensure()
    bake(folder / "baked")
    settings = edge.read(
        environment="production",
        issuer="https://weft.test",
        peers={name: [f"{name}:50051"] for name in names},
        otlp_endpoint="http://collector:4317",
        tls_ca=certificates.ca,
        tls_cert=certificates.certificate(EDGE),
        tls_key=certificates.key(EDGE),
        edge_server_cert=certificates.certificate(EDGE_SERVER),
        edge_server_key=certificates.key(EDGE_SERVER),
        edge_baked=folder / "baked",
        edge_folder=folder / "edge",
    )
    made = edge.deployment(settings)
    envoy.write(read, made)
    return [*envoy.command(made), "--mode", "validate"]
