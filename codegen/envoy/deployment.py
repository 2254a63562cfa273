"""Where one edge runs: everything about the edge that the contract does not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codegen.envoy import bounds


@dataclass(frozen=True)
class Deployment:
    """One Envoy of the mesh. Ports are TCP ports, addresses `host:port`, paths absolute.

    `folder` is this edge's own: `write` puts `edge.json` there, with the Lua and the secret files that it refers to.
    Certificates are reloaded when a file is renamed into the folder that holds them. `services` is keyed by short name
    (`order`); each address is one process.
    """

    folder: Path
    services: Mapping[str, tuple[str, ...]]
    http_port: int
    """Plain HTTP/1.1 and HTTP/2, on `http_address`; 0 for none."""
    https_port: int
    """TLS 1.2 and later, on `https_address`; 0 for none."""
    metrics_port: int
    """/stats/prometheus and /ready, on `metrics_address`; 0 for none."""
    jwks_port: int
    """Where this edge serves the key set to itself, on 127.0.0.1 only."""
    descriptors: Path
    """`gen/contract.binpb`."""
    openapi: Path | None = None
    """The file behind `/openapi.json`; none: 404."""
    docs: Path | None = None
    """The folder behind `/docs/`, with an `index.html`; none: 404."""
    front: Path | None = None
    """The folder with `front.html` and `front.json` behind `/`, `robots.txt` and `favicon.ico`; none: 404."""
    web: Path | None = None
    """The folder behind `/app/`, with an `index.html`; none: 404."""

    ca: Path | None = None
    client_cert: Path | None = None
    """What the edge shows to services, `spiffe://weft/edge`. None: plain HTTP/2 to the services (tests without TLS)."""
    client_key: Path | None = None
    server_cert: Path | None = None
    """What the edge shows to callers over HTTPS."""
    server_key: Path | None = None

    http_address: str = "127.0.0.1"
    """Passwords cross it in the clear: loopback only, but for a container whose port is published there."""
    https_address: str = "127.0.0.1"
    metrics_address: str = "127.0.0.1"
    replicas: int = 1
    """How many processes of a service are behind each of its addresses, such as a name of Kubernetes."""
    issuer: str = "https://weft.local"
    otlp: str = ""
    """`host:port` of an OTLP gRPC receiver, `https://host:port` of one with TLS, or `unix:/path`; empty for no traces."""
    otlp_ca: Path | None = None
    """The authorities that the receiver's certificate is checked against, as PEM; none: those of gRPC itself."""
    trace_ratio: float = 1.0
    """Share of calls that are traced where the caller did not decide, 0 to 1."""
    edges: int = 1
    """How many edges share the callers; limits are divided by it."""
    cors_origins: tuple[str, ...] = ()
    """Origins that browsers may call from, exact, such as `https://shop.example`; none: only the edge's own."""
    time_slicing: bool = False
    """The replicas of a service share cores, so are time-sliced; else each call goes where fewest are in flight."""
    trusted_hops: int = 0
    """Proxies in front of the edge whose `x-forwarded-for` is trusted."""
    refusals: int = bounds.MAX_REFUSALS_PER_ADDRESS
    """Requests of one address in a second that the edge refuses by itself before that address gets 429."""
    access_log: Path | None = None
    """A file of JSON lines; none: standard output."""
    concurrency: int = 1
    """Envoy's worker threads."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Resource attributes of the edge's spans, beside `service.name` = `edge`."""
    admin: Path | None = None
    """The socket of Envoy's admin interface, where `folder` makes too long a path for one (107 bytes)."""

    @property
    def admin_socket(self) -> Path:
        """Where Envoy's admin interface listens: for this edge's own user alone, and never by TCP."""
        return self.admin or self.folder / "admin.sock"
