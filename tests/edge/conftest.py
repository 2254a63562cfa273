"""One Envoy with the generated configuration before a server that answers every RPC: the edge, seen alone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

import contract as contracts
from codegen import envoy
from codegen.explorer import front
from contract import Contract
from tests.edge.laboratory import Laboratory, laboratory
from tests.edge.running import running, stat, until
from tests.edge.upstream import Upstream
from tests.servers import free_ports

ISSUER = "https://weft.local"
Mint = Callable[..., str]


@dataclass(frozen=True)
class Edge:
    """A running edge: its address, what is behind it, and who signs for it."""

    url: str
    deployment: envoy.Deployment
    upstream: Upstream
    mint: Mint

    @property
    def target(self) -> str:
        """`host:port` for gRPC."""
        return self.url.removeprefix("http://")

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request over HTTP/1.1, with a fresh token unless `token=None`."""
        headers = dict(arguments.pop("headers", {}))
        token = arguments.pop("token", self.mint())
        if token:
            headers["authorization"] = f"Bearer {token}"
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **arguments)


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The repository's own contract."""
    return contracts.load()


@pytest.fixture(scope="session")
def key() -> ECKey:
    """What the test's tokens are signed with."""
    return ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})


@pytest.fixture(scope="session")
def mint(key: ECKey) -> Mint:
    """Makes tokens: claims by keyword, `signed_by` another key."""

    def make(signed_by: ECKey = key, **claims: Any) -> str:
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": "weft", "sub": "cli_1", "plan": "premium", "iat": now, "exp": now + 600}
        header = {"alg": "ES256", "typ": "at+jwt", "kid": signed_by.kid}
        return jwt.encode(header, {**usual, **claims}, signed_by)

    return make


@pytest.fixture(scope="session")
def edge(contract: Contract, key: ECKey, mint: Mint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The edge, live and with keys."""
    folder = tmp_path_factory.mktemp("edge")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.html").write_text("<h1>docs</h1>")
    front(folder / "front")
    (folder / "openapi.json").write_text('{"openapi": "3.1.0"}')
    with Upstream(contract, {"keys": [key.as_dict(private=False)]}) as upstream:
        http, metrics, jwks = free_ports(3)
        addresses = {package.split(".")[1]: upstream.address for package in contract.packages}
        deployment = deployed(contract, folder, addresses, (http, metrics, jwks))
        with running(contract, deployment):
            until(lambda: stat(deployment, "http.edge.jwt_authn.jwks_fetch_success"), "the keys are fetched")
            until(lambda: stat(deployment, "cluster.order.membership_healthy"), "the services are healthy")
            yield Edge(f"http://127.0.0.1:{http}", deployment, upstream, mint)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """An edge before a contract with every kind of field and path."""
    with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


def deployed(
    contract: Contract,
    folder: Path,
    addresses: dict[str, str],
    ports: tuple[int, int, int],
    pages: Path | None = None,
    refusals: int = 1_000_000,
) -> envoy.Deployment:
    """Services at addresses by name, without TLS and traces; `pages` holds `openapi.json` and `docs`."""
    http, metrics, jwks = ports
    pages = pages or folder
    if not (pages / "front").exists():
        front(pages / "front")
    return envoy.Deployment(
        folder=folder,
        services={name: (address,) for name, address in addresses.items()},
        http_port=http,
        https_port=0,
        metrics_port=metrics,
        jwks_port=jwks,
        descriptors=contracts.SERVED,
        openapi=pages / "openapi.json",
        docs=pages / "docs",
        front=pages / "front",
        cors_origins=("https://shop.example",),
        access_log=folder / "access.log",
        refusals=refusals,
    )
