"""TLS before and behind the edge: versions, names, and certificates that change while it runs."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509

from codegen.envoy import bounds
from codegen.explorer import front
from contract import Contract
from deploy.local.state.certificates import Certificates
from tests.edge import protocols
from tests.edge.conftest import Edge, Mint, deployed
from tests.edge.running import running, stat, until
from tests.edge.upstream import Upstream
from tests.servers import free_ports


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Certificates:
    """Certificates that this module may change."""
    folder = tmp_path_factory.mktemp("certs")
    made = Certificates(folder, sorted(package.split(".")[1] for package in contract.packages))
    made.ensure()
    return made


def serving(certificates: Certificates, name: str) -> grpc.ServerCredentials:
    """A service's credentials, asking callers for theirs; read again for each handshake."""

    def read() -> grpc.ServerCertificateConfiguration:
        pair = (certificates.key(name).read_bytes(), certificates.certificate(name).read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=certificates.ca.read_bytes())

    return grpc.dynamic_ssl_server_credentials(read(), read, require_client_authentication=True)


@pytest.fixture(scope="module")
def tls_edge(
    own: Certificates, contract: Contract, key: object, mint: Mint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    """HTTPS before, mTLS behind: `order` and `user` are themselves; at `notification`'s address answers `order`."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "docs").mkdir()
    (folder / "openapi.json").write_text("{}")
    (folder / "docs" / "index.html").write_text("")
    front(folder / "front")
    public = {"keys": [key.as_dict(private=False)]}  # type: ignore[attr-defined]
    with (
        Upstream(contract, public, serving(own, "order")) as order,
        Upstream(contract, public, serving(own, "user")) as user,
    ):
        http, https, admin, jwks = free_ports(4)
        addresses = {"order": order.address, "user": user.address, "notification": order.address}
        deployment = replace(
            deployed(contract, folder, addresses, (http, admin, jwks)),
            https_port=https,
            ca=own.ca,
            client_cert=own.certificate("edge"),
            client_key=own.key("edge"),
            server_cert=own.certificate("edge-server"),
            server_key=own.key("edge-server"),
        )
        with running(contract, deployment):
            until(lambda: stat(deployment, "http.edge.jwt_authn.jwks_fetch_success"), "the keys are fetched")
            until(lambda: stat(deployment, "cluster.order.membership_healthy"), "order is healthy")
            yield Edge(f"https://localhost:{https}", deployment, order, mint)


def test_https_answers_with_hsts_over_both_versions_of_http(tls_edge: Edge, own: Certificates) -> None:
    for number in (1, 2):
        with httpx.Client(
            base_url=tls_edge.url, verify=protocols.trusting(own.ca), http1=number == 1, http2=number == 2
        ) as client:
            response = client.get("/v1/orders/ord_1", headers={"authorization": f"Bearer {tls_edge.mint()}"})
        assert (response.status_code, response.http_version) == (200, f"HTTP/{number}" if number == 2 else "HTTP/1.1")
        assert response.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_native_grpc_comes_in_over_tls(tls_edge: Edge, own: Certificates) -> None:
    credentials = grpc.ssl_channel_credentials(own.ca.read_bytes())
    with grpc.secure_channel(tls_edge.url.removeprefix("https://"), credentials) as channel:
        call = channel.unary_unary("/weft.order.v1.OrderService/GetOrder", lambda data: data, lambda data: data)
        call(b"", metadata=[("authorization", f"Bearer {tls_edge.mint()}")], timeout=10)


def test_old_tls_is_refused(tls_edge: Edge, own: Certificates) -> None:
    old = protocols.trusting(own.ca)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{tls_edge.url}/healthz", verify=old)
    assert httpx.get(f"{tls_edge.url}/healthz", verify=protocols.trusting(own.ca)).status_code == 200


def test_a_connection_that_says_nothing_is_closed_before_and_behind_its_handshake(
    tls_edge: Edge, own: Certificates
) -> None:
    address = ("localhost", int(tls_edge.url.rpartition(":")[2]))
    with (
        socket.create_connection(address, timeout=bounds.SILENT_TIMEOUT_S + 5) as bare,
        protocols.trusting(own.ca).wrap_socket(
            socket.create_connection(address, timeout=bounds.SILENT_TIMEOUT_S + 5), server_hostname="localhost"
        ) as secured,
    ):
        assert bare.recv(1) == b""
        assert secured.recv(1) == b""


def test_a_service_with_anothers_name_gets_no_call(tls_edge: Edge, own: Certificates) -> None:
    before = len(tls_edge.upstream.calls)
    headers = {"authorization": f"Bearer {tls_edge.mint()}"}
    response = httpx.get(f"{tls_edge.url}/v1/inbox", verify=protocols.trusting(own.ca), headers=headers, timeout=20)
    protocols.assert_refusal(response, "SERVICE_UNAVAILABLE")
    assert len(tls_edge.upstream.calls) == before
    assert stat(tls_edge.deployment, "cluster.notification.ssl.fail_verify_san") > 0


def test_new_certificates_are_taken_up_without_a_dropped_call(
    tls_edge: Edge, own: Certificates, tmp_path: Path
) -> None:
    port = int(tls_edge.url.rpartition(":")[2])
    headers = {"authorization": f"Bearer {tls_edge.mint()}"}
    shutil.copy(own.ca, tmp_path / "ca.crt")
    before = served(port)
    with httpx.Client(base_url=tls_edge.url, verify=protocols.trusting(own.ca), headers=headers) as client:
        assert client.get("/v1/orders/ord_1").status_code == 200
        own.renew()

        def renewed() -> bool:
            assert client.get("/v1/orders/ord_1").status_code == 200  # the old connection goes on
            return served(port) != before

        until(renewed, "the edge shows its new certificate")
    until(
        lambda: stat(tls_edge.deployment, "cluster.order.client_ssl_socket_factory.ssl_context_update_by_sds") > 1,
        "so behind",
    )
    assert (
        httpx.get(f"{tls_edge.url}/v1/orders/ord_1", verify=protocols.trusting(own.ca), headers=headers).status_code
        == 200
    )


def served(port: int) -> int:
    """The serial number of the certificate that a new connection sees."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("localhost", port)).encode()).serial_number
