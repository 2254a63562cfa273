"""What one address may hold of the edge: connections, bytes of requests, refusals. Another address is served meanwhile."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import httpx
import pytest

from codegen.envoy import bounds
from contract import Contract
from tests.edge import protocols
from tests.edge.conftest import Edge, deployed
from tests.edge.raw_http2 import RawConnection, raw_connections
from tests.edge.running import running, stat, until
from tests.servers import free_ports


def connected(edge: Edge, address: str) -> socket.socket:
    """A connection from an address of this machine."""
    host, port = edge.target.split(":")
    return socket.create_connection((host, int(port)), timeout=20, source_address=(address, 0))


def answer(connection: socket.socket) -> bytes:
    """The first bytes that the edge says to a request for its health; none where it has closed the connection."""
    try:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        return connection.recv(15)
    except ConnectionError:
        return b""


def order(edge: Edge, address: str, **more: str) -> httpx.Response:
    """An order from an address, with a token."""
    headers = {"authorization": f"Bearer {edge.mint()}", **more}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=30) as client:
        return client.post(f"{edge.url}/v1/orders", json={}, headers=headers)


@contextmanager
def all_of(*connections: socket.socket) -> Iterator[None]:
    """Connections that are open until the block ends."""
    with ExitStack() as stack:
        for connection in connections:
            stack.enter_context(connection)
        yield


def test_an_address_has_its_share_of_the_connections_and_gets_it_back(edge: Edge) -> None:
    most = bounds.MAX_CONNECTIONS_PER_ADDRESS
    for _ in range(2):  # what is closed may be opened again
        opened = [connected(edge, "127.0.0.11") for _ in range(most + 20)]
        with all_of(*opened):
            told = Counter(answer(connection) for connection in opened)
            assert told == {b"HTTP/1.1 200 OK": most, b"": 20}
            assert order(edge, "127.0.0.12").status_code == 201

        def are_gone() -> bool:
            with connected(edge, "127.0.0.11") as one:
                return answer(one) != b"" and stat(edge.deployment, "http.edge.downstream_cx_active") < most

        until(are_gone, "the closed connections are counted off")


def test_a_connection_without_a_request_is_closed_early_and_one_that_is_kept_alive_is_not(edge: Edge) -> None:
    request = f"GET /v1/orders/ord_1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {edge.mint()}\r\n\r\n".encode()
    with connected(edge, "127.0.0.31") as silent, connected(edge, "127.0.0.31") as alive:
        alive.sendall(request)
        assert alive.recv(65536).startswith(b"HTTP/1.1 200 OK")
        silent.settimeout(bounds.SILENT_TIMEOUT_S + 5)
        assert silent.recv(1) == b""
        alive.sendall(request)
        assert alive.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_bodies_of_strangers_are_not_waited_for(edge: Edge) -> None:
    """Without a token the answer comes though the body never does; nothing of it is kept."""
    streams = bounds.MAX_REFUSALS_PER_ADDRESS // 5
    with raw_connections(edge.target, "127.0.0.21", 5) as connections:
        for connection in connections:
            for _ in range(streams):
                connection.begin("/v1/orders", sent=b"{" * 500)
        until(lambda: heard(connections) == 5 * streams, "every stream is answered")
        assert {status for one in connections for status in one.statuses.values()} == {"401"}
        until(lambda: stat(edge.deployment, "http.edge.downstream_rq_active") == 0, "no request is left")


def test_half_sent_bodies_of_an_address_end_at_its_share_of_the_memory(edge: Edge) -> None:
    announced = 37_000
    room = bounds.MAX_REQUEST_BYTES_PER_ADDRESS // (announced + bounds.MIN_REQUEST_BYTES)
    count = room // bounds.MAX_STREAMS_PER_CONNECTION + 1
    wanted = min(count * bounds.MAX_STREAMS_PER_CONNECTION, room + 50)
    with raw_connections(edge.target, "127.0.0.13", count) as connections:
        for number in range(wanted):
            token = edge.mint(sub=f"cli_half_{number}")
            connections[number // bounds.MAX_STREAMS_PER_CONNECTION].begin("/v1/orders", token, announced)
        until(lambda: heard(connections) == wanted - room, "what is above the share is refused")
        assert {status for one in connections for status in one.statuses.values()} == {"429"}
        assert order(edge, "127.0.0.14").status_code == 201
    until(lambda: order(edge, "127.0.0.13").status_code == 201, "what was held is given back")


def test_an_address_has_its_share_of_the_streams(edge: Edge) -> None:
    room = bounds.MAX_REQUEST_BYTES_PER_ADDRESS // (bounds.STREAM_BYTES + bounds.MIN_REQUEST_BYTES)
    with raw_connections(edge.target, "127.0.0.19", 2) as connections:
        for number in range(room + 10):
            token = edge.mint(sub=f"cli_watch_{number}")
            connections[number // bounds.MAX_STREAMS_PER_CONNECTION].ask(
                "/v1/orders:watch", token, **{"x-test-sleep": "1"}
            )
        until(lambda: refused(connections) == 10, "what is above the share is refused")
        assert order(edge, "127.0.0.20").status_code == 201


def refused(connections: list[RawConnection]) -> int:
    """How many streams have been told to come back later."""
    heard(connections)
    return sum(status == "429" for one in connections for status in one.statuses.values())


def heard(connections: list[RawConnection]) -> int:
    """How many streams have been answered."""
    for connection in connections:
        connection.listen()
    return sum(len(connection.statuses) for connection in connections)


@pytest.fixture(scope="module")
def strict(edge: Edge, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge that an address may be refused by three times in a second."""
    folder = tmp_path_factory.mktemp("strict")
    names = [package.split(".")[1] for package in contract.packages]
    http, admin, jwks = free_ports(3)
    at = deployed(
        contract,
        folder,
        dict.fromkeys(names, edge.upstream.address),
        (http, admin, jwks),
        edge.deployment.folder,
        refusals=3,
    )
    with running(contract, at):
        until(lambda: stat(at, "http.edge.jwt_authn.jwks_fetch_success"), "the keys are fetched")
        until(lambda: stat(at, "cluster.order.membership_healthy"), "the services are healthy")
        yield Edge(f"http://127.0.0.1:{http}", at, edge.upstream, edge.mint)


REFUSED: list[dict[str, Any]] = [
    {"method": "GET", "url": "/v1/nothing"},
    {"method": "PUT", "url": "/v1/orders"},
    {"method": "GET", "url": "/v1/orders"},
    {"method": "GET", "url": "/v1/products?odd=1"},
    {"method": "POST", "url": "/v1/auth:signIn", "json": {"odd": 1}},
    {"method": "POST", "url": "/v1/auth:signIn", "content": b"x" * 100_000},
    {"method": "POST", "url": "/v1/auth:signIn", "content": b"a=b", "headers": {"content-type": "text/plain"}},
    {"method": "GET", "url": "/v1/products", "headers": {"a": "x" * 40_000}},
]


@pytest.mark.parametrize("asked", REFUSED, ids=["404", "405", "401", "query", "JSON", "413", "415", "431"])
def test_who_is_refused_too_often_is_told_to_come_back_later(asked: dict[str, Any], strict: Edge) -> None:
    def come_back_later() -> bool:
        nonlocal told
        told = client.request(**asked)
        return told.status_code == 429

    told = httpx.Response(0)
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.15"), base_url=strict.url) as client:
        until(lambda: client.get("/v1/products").status_code == 200, "a second without refusals")
        until(come_back_later, "the address is refused too often")
        refusal = protocols.assert_refusal(told, "RATE_LIMITED")
        assert (refusal.retry, told.headers["retry-after"]) == (True, "1")
        assert order(strict, "127.0.0.16").status_code == 201
        until(lambda: client.get("/v1/products").status_code == 200, "the next second begins")


def test_native_grpc_is_refused_as_often_and_told_as_grpc_tells(strict: Edge) -> None:
    reasons: set[str] = set()

    def come_back_later() -> bool:
        with pytest.raises(grpc.RpcError) as raised:
            protocols.native(strict.target, "/weft.order.v1.OrderService/GetOrder", b"", [])
        reasons.add(protocols.reason_of(raised.value))
        return "RATE_LIMITED" in reasons

    until(come_back_later, "the address is refused too often")
    assert reasons == {"TOKEN_MISSING", "RATE_LIMITED"}


def test_refusals_of_a_service_are_not_counted(strict: Edge) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.17"), base_url=strict.url) as client:
        headers = {"authorization": f"Bearer {strict.mint(sub='cli_asker')}", "x-test-error": "NOT_FOUND"}
        told = {client.get("/v1/orders/ord_1", headers=headers).status_code for _ in range(50)}
    assert told == {404}


def test_what_the_edge_says_to_itself_stays_inside(edge: Edge) -> None:
    response = edge.call("GET", "/v1/orders/ord_1")
    assert not [name for name in response.headers if name.startswith("x-weft-")]
    assert not [name for name in edge.upstream.last[2] if name.startswith("x-weft-")]
