"""The settings of an edge that is a container: `docs/settings.md` lists them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

File = Annotated[Path | None, BeforeValidator(lambda value: value or None)]
"""An empty variable names no file: `Path("")` would be the working directory."""


class EdgeSettings(BaseSettings):
    """The settings of an edge's container, `WEFT_…`; files are PEM, addresses `host:port`."""

    model_config = SettingsConfigDict(env_prefix="WEFT_", frozen=True, extra="ignore")

    environment: Literal["production", "staging", "development"] = Field(
        "production", description="Production and staging refuse what is for development: see below."
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
    edge_server_cert: File = Field(None, description="What callers see over HTTPS.")
    edge_server_key: File = Field(None, description="Its key.")
    tls_cert: File = Field(None, description="What the services see: `spiffe://weft/edge`.")
    tls_key: File = Field(None, description="Its key.")
    tls_ca: File = Field(None, description="The authorities of the mesh.")
    issuer: str = Field(
        "https://weft.local", description="The issuer of tokens: the URL under which callers reach the edge."
    )
    cleartext_allowed: list[str] = Field(
        [], description="As of a service: `WEFT_EDGE_HTTP_LISTEN`, behind a load balancer that ends TLS."
    )
    otlp_endpoint: str = Field("", description="Where spans go, `http://host:port`; empty for nowhere.")
    trace_ratio: float = Field(1.0, ge=0, le=1, description="Share of calls that are traced.")
    edges: int = Field(1, ge=1, description="How many edges share the callers; each has its share of the limits.")
    edge_cors_origins: list[str] = Field([], description="Origins that browsers may call from, as JSON.")
    edge_trusted_hops: int = Field(0, ge=0, description="Proxies before the edge whose `x-forwarded-for` is trusted.")
    edge_drain: float = Field(10.0, ge=0, description="Seconds, at most, that callers have to leave.")
