"""Every refusal of the edge, through every protocol that it can happen at: one reason, one format."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from joserfc.jwk import ECKey

from contract import Contract
from tests.edge import protocols
from tests.edge.access_log import log_of
from tests.edge.conftest import Edge, Mint, deployed
from tests.edge.replies.reading import read_all
from tests.edge.replies.refusals import ASKED, CASES, PROTOCOLS, SLOW, Case
from tests.edge.running import running
from tests.edge.upstream import Upstream
from tests.servers import free_ports

Other = Callable[[str], Edge]


@pytest.fixture(scope="module")
def other(
    contract: Contract, key: ECKey, mint: Mint, edge: Edge, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Other]:
    """Edges by name: the usual one, one without keys, one without services."""
    folder = tmp_path_factory.mktemp("others")
    for name in ("docs", "keyless", "lonely"):
        (folder / name).mkdir()
    public = {"keys": [key.as_dict(private=False)]}
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    with Upstream(contract, public) as upstream, Upstream(contract, public) as silent:
        silent.jwks = None

        def place(name: str, addresses: dict[str, str]) -> Edge:
            http, admin, jwks = free_ports(3)
            at = deployed(contract, folder / name, addresses, (http, admin, jwks), pages=Path(edge.deployment.folder))
            return Edge(f"http://127.0.0.1:{http}", at, upstream, mint)

        names = [package.split(".")[1] for package in contract.packages]
        keyless = place("keyless", dict.fromkeys(names, silent.address))
        lonely = place("lonely", dict.fromkeys(names, nowhere) | {"user": upstream.address})
        with running(contract, keyless.deployment), running(contract, lonely.deployment):
            yield {"edge": edge, "keyless_edge": keyless, "lonely_edge": lonely}.__getitem__


@pytest.fixture(scope="module")
def slow(other: Other) -> Iterator[dict[str, Future[protocols.Refusal]]]:
    """The refusals, by protocol, that take as long as a deadline: asked for before the others, which are met meanwhile."""
    case = next(case for case in CASES if case.name == SLOW)
    with ThreadPoolExecutor(len(PROTOCOLS)) as threads:
        yield {protocol: threads.submit(ask, case, protocol, other(case.edge)) for protocol in PROTOCOLS}


def test_there_are_thirty_cases_and_more() -> None:
    assert len(CASES) >= 30
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(("case", "protocol"), ASKED, ids=[f"{case.name} · {protocol}" for case, protocol in ASKED])
def test_a_refusal_has_its_reason_and_the_one_format(
    case: Case, protocol: str, other: Other, contract: Contract, slow: dict[str, Future[protocols.Refusal]]
) -> None:
    refusal = slow[protocol].result() if case.name == SLOW else ask(case, protocol, other(case.edge))
    domain = "weft.api.v1" if ("weft.api.v1", case.reason) in contract.reasons else "weft.order.v1"
    assert (refusal.info.reason, refusal.info.domain) == (case.reason, domain)
    if not case.headers.get("x-test-error"):  # which has the code that a service gave it
        named = {case.violation: ""} if case.violation else {}
        protocols.assert_refusal(refusal, case.reason, violations=named, **case.metadata)
    assert refusal.headers["x-content-type-options"] == "nosniff"
    assert refusal.headers["x-request-id"]
    assert refusal.retry == case.retry
    if protocol == "gRPC":
        return
    assert refusal.status == case.status
    assert {name: refusal.headers.get(name) for name in case.answer} == case.answer


def ask(case: Case, protocol: str, edge: Edge) -> protocols.Refusal:
    """Put the case to a protocol and read the refusal."""
    headers = dict(case.headers)
    token = edge.mint(**case.token) if isinstance(case.token, dict) else case.token
    if token:
        headers["authorization"] = f"Bearer {token}"
    if protocol == "gRPC":
        with pytest.raises(grpc.RpcError) as raised:
            protocols.native(edge.target, case.rpc, case.request, list(headers.items()))
        return protocols.of_call(raised.value)
    return protocols.of_response(protocols.rest(edge.url, int(protocol[5]), case.verb, case.path, headers, case.body))


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400, "HTTP_MALFORMED"),
        (b"GET / HTTP/9.9\r\nhost: x\r\n\r\n", 505, "HTTP_MALFORMED"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "HTTP_MALFORMED"),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
            "HTTP_MALFORMED",
        ),
        (b"GET / HTTP/1.1\r\nhost: x\r\na_b: c\r\n\r\n", 400, "HTTP_MALFORMED"),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 100_000 + b"\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: x\r\n" * 1100 + b"\r\n", 431, "HEADERS_TOO_LARGE"),
    ],
    ids=["bad header", "bad version", "no host", "smuggling", "underscore", "long header", "many headers"],
)
def test_bad_http_is_refused_in_the_one_format(edge: Edge, request_: bytes, status: int, reason: str) -> None:
    host, port = edge.target.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_)
        response = protocols.parsed(read_all(connection))
    assert protocols.assert_refusal(response, reason).status == status
    assert log_of(edge, response.headers["x-request-id"])["status"] == status


def test_oauth_errors_have_the_format_of_rfc_6749(edge: Edge) -> None:
    unknown = edge.call("POST", "/oauth2/nothing", data={"a": "b"}, token=None)
    wrong = edge.call("GET", "/oauth2/token", token=None)
    failed = edge.call("POST", "/oauth2/token", data={"a": "b"}, token=None, headers={"x-test-error": "UNAVAILABLE"})
    stopping = edge.call(
        "POST", "/oauth2/token", data={"a": "b"}, token=None, headers={"x-test-error": "bare:CANCELLED"}
    )
    large = edge.call("POST", "/oauth2/token", data={"a": "b" * (1 << 20)}, token=None)
    said = "error_description"
    assert (unknown.status_code, unknown.json()) == (404, {"error": "invalid_request", said: "There is no such path."})
    assert (wrong.status_code, wrong.json()) == (
        405,
        {"error": "invalid_request", said: "The path takes OPTIONS, POST."},
    )
    assert (failed.status_code, failed.json()) == (503, {"error": "temporarily_unavailable", said: "It failed."})
    assert (large.status_code, large.json()["error"]) == (413, "invalid_request")
    assert (stopping.status_code, stopping.json()["error"]) == (503, "temporarily_unavailable")
    assert failed.headers["retry-after"] == stopping.headers["retry-after"] == "1"


def test_an_http2_header_of_a_hundred_kilobytes_ends_the_stream(edge: Edge) -> None:
    """What cannot be shaped: Envoy resets the stream before there is a request to answer."""
    with pytest.raises(httpx.RemoteProtocolError):
        protocols.rest(edge.url, 2, "GET", "/v1/orders", {"a": "x" * 100_000}, {})
