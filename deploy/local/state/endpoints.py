"""Where each part of the mesh is found. Plain values: chosen before anything runs, then written into the mesh file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SMS_ACCOUNT = f"AC{1:032x}"
"""At the provider of text messages that is embedded."""
SMS_NUMBER = "+15005550006"
"""The sender of the local mesh, from Twilio's test numbers."""


@dataclass(frozen=True)
class Edge:
    """One Envoy."""

    number: int
    http_port: int
    https_port: int
    metrics_port: int
    jwks_port: int
    access_log: Path
    admin: Path
    """The socket of its admin interface, for our own user alone."""

    @property
    def url(self) -> str:
        """For callers on this machine."""
        return f"http://localhost:{self.http_port}"

    @property
    def tls_url(self) -> str:
        """The same over HTTPS."""
        return f"https://localhost:{self.https_port}"

    @property
    def metrics_url(self) -> str:
        """For Prometheus."""
        return f"http://127.0.0.1:{self.metrics_port}/stats/prometheus"


@dataclass(frozen=True)
class Endpoints:
    """What the services connect to and listen on: URLs as in the settings of a service."""

    redis_url: str
    otlp_endpoint: str
    smtp_url: str
    sms_url: str
    push_url: str
    webhook_url: str
    addresses: Mapping[str, tuple[str, ...]]
    """gRPC addresses of every service's replicas."""
    metrics: Mapping[str, tuple[str, ...]]
    """Prometheus addresses of the same."""
