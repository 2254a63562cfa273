"""`mesh.json`: where everything is, for those who use the mesh; readable by its owner only, for it holds secrets."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.local.options import Options
from deploy.local.state.certificate_files import INTERNAL, CertificateFiles
from deploy.local.state.credentials import Credentials
from deploy.local.state.endpoints import Edge, Endpoints
from deploy.local.state.home import Home, write_json

Pids = Mapping[str, Sequence[int]]
"""Process ids by group, in the order of the parts."""
SINGLE = ("mesh", "postgres", "valkey", "mail", "sinks", "traces")
"""Groups of one process: a number in the file, null where an address in the environment replaces the part."""


class MeshFile:
    """Says what does not change while the mesh runs; `write` adds the process ids, which do."""

    def __init__(
        self,
        home: Home,
        options: Options,
        edges: Sequence[Edge],
        endpoints: Endpoints,
        secrets: Credentials,
        certificates: CertificateFiles,
    ) -> None:
        traced = not options.otlp_endpoint
        self._file = home.mesh_file
        metrics = {
            name: [f"http://{address}/metrics" for address in found] for name, found in endpoints.metrics.items()
        }
        self._content: dict[str, Any] = {
            "edge": edges[0].url,
            "edge_tls": edges[0].tls_url,
            "edges": [edge.url for edge in edges],
            "edges_tls": [edge.tls_url for edge in edges],
            "ca": str(certificates.ca),
            "mail": str(home.mail),
            "push": {"folder": str(home.push), "page": endpoints.push_url},
            "webhooks": {"folder": str(home.webhooks), "page": endpoints.webhook_url},
            "sms": {"folder": str(home.sms), "page": endpoints.sms_url},
            "traces": str(home.traces) if traced else None,
            "trace_ratio": options.trace_ratio,
            "operator": {"email": secrets.operator_email, "password": secrets.operator_password},
            "partner": {"client_id": secrets.partner_client_id, "client_secret": secrets.partner_client_secret},
            "services": {name: list(found) for name, found in endpoints.addresses.items()},
            "internal": {"cert": str(certificates.certificate(INTERNAL)), "key": str(certificates.key(INTERNAL))},
            "metrics": {**metrics, "envoy": [edge.metrics_url for edge in edges]},
        }

    def write(self, pids: Pids) -> None:
        """Write the file in one step."""
        found: dict[str, Any] = {name: next(iter(pids.get(name, ())), None) for name in SINGLE}
        found |= {name: list(pids.get(name, ())) for name in (*self._content["services"], "envoy")}
        write_json(self._file, {**self._content, "pids": found})

    def remove(self) -> None:
        """Remove the file: the mesh has ended."""
        self._file.unlink(missing_ok=True)
