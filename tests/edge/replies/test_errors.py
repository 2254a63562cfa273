"""Every refusal of the edge, through every protocol that it can happen at: one reason, one format."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from joserfc.jwk import ECKey

from contract import Contract
from tests.edge import protocols
from tests.edge.conftest import Edge, Mint, deployed
from tests.edge.replies.test_telemetry import log_of
from tests.edge.running import free_ports, running
from tests.edge.upstream import Upstream

GET = "/weft.order.v1.OrderService/GetOrder"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
STRANGER = ECKey.generate_key("P-256", {"kid": "k2"})


SLOW = "service is slow"


@dataclass(frozen=True)
class Case:
    """What is asked, and the refusal that it meets. Without `path` the case is of native gRPC alone, without `rpc` of REST."""

    name: str
    reason: str
    status: int
    verb: str = "GET"
    path: str = ""
    rpc: str = ""
    token: dict[str, Any] | str | None = field(default_factory=dict)  # claims, the text itself, or none
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    request: bytes = b""
    violation: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)  # headers that the reply has over REST
    retry: bool = False
    edge: str = "edge"


def post(json: Any = None, **more: Any) -> dict[str, Any]:
    """Fields of a case that posts an order."""
    return {"verb": "POST", "path": "/v1/orders", "body": {"json": json} if json is not None else {}, **more}


def raw(text: str | bytes) -> dict[str, Any]:
    """Fields of a case that posts a text as JSON."""
    return {"verb": "POST", "path": "/v1/orders", "body": {"content": text}, "headers": JSON}


def streamed(size: int) -> dict[str, Any]:
    """Fields of a case that posts so many bytes and does not say before how many."""
    return {"verb": "POST", "path": "/v1/orders", "body": {"content": Pieces(size)}, "headers": JSON}


class Pieces:
    """A note in pieces of a kilobyte, as often as it is asked for."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"note":"'
        yield from (b"x" * 1000 for _ in range(self._size // 1000))
        yield b'"}'


LINE = {"productId": "prd_1", "quantity": 1}
BEARER = {"www-authenticate": 'Bearer realm="weft"'}
INVALID = {"www-authenticate": 'Bearer realm="weft", error="invalid_token"'}
NOT_ALLOWED = {"allow": "GET, HEAD, OPTIONS, POST"}
LATER = {"retry-after": "1"}

CASES = [
    Case("no token", "TOKEN_MISSING", 401, path="/v1/orders/ord_1", rpc=GET, token=None, answer=BEARER),
    Case("token is no JWT", "TOKEN_INVALID", 401, path="/v1/orders/ord_1", rpc=GET, token="garbage", answer=INVALID),
    Case("token of another issuer", "TOKEN_INVALID", 401, path="/v1/orders/ord_1", rpc=GET, token={"iss": "x"}, answer=INVALID),
    Case("token for another audience", "TOKEN_INVALID", 401, path="/v1/orders/ord_1", rpc=GET, token={"aud": "x"}, answer=INVALID),
    Case("token of another key", "TOKEN_INVALID", 401, path="/v1/orders/ord_1", rpc=GET, token={"signed_by": STRANGER}, answer=INVALID),
    Case("token past its time", "TOKEN_EXPIRED", 401, path="/v1/orders/ord_1", rpc=GET, token={"exp": 1}, answer=INVALID),
    Case("token in the query", "UNKNOWN_QUERY_PARAMETER", 400, path="/v1/orders/ord_1?access_token=x", token=None, violation="access_token"),
    Case("unknown path", "ROUTE_NOT_FOUND", 404, path="/v1/nothing", rpc="/weft.order.v1.OrderService/Nothing"),
    Case("path with a slash too many", "ROUTE_NOT_FOUND", 404, path="/v1/orders/"),
    Case("gRPC path as JSON", "ROUTE_NOT_FOUND", 404, verb="POST", path=GET, headers=JSON, body={"content": "{}"}),
    Case("unknown custom verb", "ROUTE_NOT_FOUND", 404, verb="POST", path="/v1/orders/ord_1:eat"),
    Case("custom verb of another path", "ROUTE_NOT_FOUND", 404, path="/v1/orders/ord_1:watch"),
    Case("custom verb of no resource", "ROUTE_NOT_FOUND", 404, path="/v1/orders/:watch"),
    Case("custom verb twice", "ROUTE_NOT_FOUND", 404, path="/v1/orders:watch:watch"),
    Case("internal call", "ROUTE_NOT_FOUND", 404, path="/v1/users:batchGet", rpc="/weft.user.v1.UserService/BatchGetUsers"),
    Case("health from outside", "ROUTE_NOT_FOUND", 404, path="/grpc.health.v1.Health/Check", rpc="/grpc.health.v1.Health/Check"),
    Case("reflection from outside", "ROUTE_NOT_FOUND", 404, rpc="/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    Case("wrong method", "METHOD_NOT_ALLOWED", 405, verb="DELETE", path="/v1/orders", metadata=NOT_ALLOWED, answer=NOT_ALLOWED),
    Case("head of a stream", "METHOD_NOT_ALLOWED", 405, verb="PUT", path="/v1/orders:watch", answer={"allow": "GET, OPTIONS"}),
    Case("wrong method on a template", "METHOD_NOT_ALLOWED", 405, verb="PUT", path="/v1/orders/ord_1", answer={"allow": "GET, HEAD, OPTIONS, PATCH"}),
    Case("wrong method on a page", "METHOD_NOT_ALLOWED", 405, verb="POST", path="/docs/", answer={"allow": "GET, HEAD, OPTIONS"}),
    Case("malformed JSON", "JSON_MALFORMED", 400, **raw('{"note": ')),
    Case("JSON with a tail", "JSON_MALFORMED", 400, **raw("{} {}")),
    Case("JSON with a bad escape", "JSON_MALFORMED", 400, **raw('{"note": "\\q"}'), violation="note"),
    Case("JSON nested too deep", "JSON_MALFORMED", 400, **raw("[" * 100)),
    Case("JSON that is no object", "JSON_MALFORMED", 400, **post([])),
    Case("number where text belongs", "JSON_MALFORMED", 400, **post({"note": 5}), violation="note"),
    Case("text where a number belongs", "JSON_MALFORMED", 400, **post({"lines": [{"quantity": "two"}]}), violation="lines[0].quantity"),
    Case("object where an array belongs", "JSON_MALFORMED", 400, **post({"lines": LINE}), violation="lines"),
    Case("unknown field", "UNKNOWN_FIELD", 400, **post({"notes": "x"}), violation="notes", metadata={"field": "notes"}),
    Case("unknown field in an array", "UNKNOWN_FIELD", 400, **post({"lines": [LINE, {"quantitty": 1}]}),
         violation="lines[1].quantitty", metadata={"field": "lines[1].quantitty"}),
    Case("unknown field under a resource", "UNKNOWN_FIELD", 400, verb="PATCH", path="/v1/products/prd_1",
         body={"json": {"price": {"amount": "1"}}}, violation="price.amount", metadata={"field": "price.amount"}),
    Case("unknown query parameter", "UNKNOWN_QUERY_PARAMETER", 400, path="/v1/orders?pagesize=1", violation="pagesize",
         metadata={"parameter": "pagesize"}),
    Case("query beside a whole body", "UNKNOWN_QUERY_PARAMETER", 400, verb="POST", path="/v1/orders?note=x",
         body={"json": {}}, violation="note"),
    Case("query value of the wrong kind", "REQUEST_INVALID", 400, path="/v1/orders?page_size=many", violation="page_size"),
    Case("query value that is no name", "REQUEST_INVALID", 400, path="/v1/orders?states=ODD", violation="states"),
    Case("body where none belongs", "JSON_MALFORMED", 400, verb="DELETE", path="/v1/partners/p/clients/c", body={"content": "{}"}),
    Case("field given twice", "JSON_MALFORMED", 400, **raw('{"note":"a","note":"b"}'), violation="note"),
    Case("field in both spellings", "JSON_MALFORMED", 400, **raw('{"customerId":"","customer_id":""}'), violation="customer_id"),
    Case("text that is no UTF-8", "JSON_MALFORMED", 400, **raw(b'{"note":"\xff"}'), violation="note"),
    Case("half of a surrogate pair", "JSON_MALFORMED", 400, **raw('{"lines":[{"productId":"\\ud83d"}]}'), violation="lines[0].productId"),
    Case("null in a list", "JSON_MALFORMED", 400, **raw('{"lines":[{},null]}'), violation="lines[1]"),
    Case("null for a field", "JSON_MALFORMED", 400, **post({"note": None}), violation="note"),
    Case("escaped name that is none", "UNKNOWN_FIELD", 400, **raw('{"\\note":"x"}'), violation=" ote"),
    Case("number beyond its kind", "JSON_MALFORMED", 400, **raw('{"lines":[{"quantity":1e400}]}'), violation="lines[0].quantity"),
    Case("number of 64 bits and one", "JSON_MALFORMED", 400, verb="POST", path="/v1/products",
         body={"json": {"stock": "9223372036854775808"}}, violation="stock"),
    Case("charset that is not UTF-8", "CONTENT_TYPE_UNSUPPORTED", 415, verb="POST", path="/v1/orders", body={"content": b"{}"},
         headers={"content-type": "application/json; charset=iso-8859-1"}),
    Case("query that is badly escaped", "REQUEST_INVALID", 400, path="/v1/orders?external_reference=5%", violation="external_reference"),
    Case("query time that is none", "REQUEST_INVALID", 400, path="/v1/orders?createTimeFrom=2026-02-29T00:00:00Z",
         violation="createTimeFrom"),
    Case("query number beyond its kind", "REQUEST_INVALID", 400, path="/v1/orders?pageSize=2147483648", violation="pageSize"),
    Case("path that is no UTF-8", "REQUEST_INVALID", 400, path="/v1/orders/%ff"),
    Case("query that is no UTF-8", "REQUEST_INVALID", 400, path="/v1/orders?external_reference=%ed%a0%80", violation="external_reference"),
    Case("query parameter twice", "REQUEST_INVALID", 400, path="/v1/orders?page_size=1&pageSize=2", violation="pageSize"),
    Case("body contradicts the path", "JSON_MALFORMED", 400, verb="POST", path="/v1/orders/ord_1:cancel",
         body={"json": {"orderId": "ord_2"}}, violation="orderId"),
    Case("form where JSON belongs", "CONTENT_TYPE_UNSUPPORTED", 415, verb="POST", path="/v1/orders", headers=FORM,
         body={"content": "a=b"}, metadata={"expected": "application/json"}),
    Case("no content type", "CONTENT_TYPE_UNSUPPORTED", 415, verb="POST", path="/v1/orders", body={"content": b"{}"}),
    Case("packed body", "CONTENT_TYPE_UNSUPPORTED", 415, verb="POST", path="/v1/orders",
         headers={**JSON, "content-encoding": "gzip"}, body={"content": b"{}"}),
    Case("body too large", "BODY_TOO_LARGE", 413, **post({"note": "x" * 60_000}), rpc=GET, request=b"x" * 60_000),
    Case("body too large, its length not announced", "BODY_TOO_LARGE", 413, **streamed(60_000)),
    Case("headers too large", "HEADERS_TOO_LARGE", 431, path="/v1/orders", rpc=GET, headers={"a": "x" * 34_000}),
    Case("headers in many pieces too large", "HEADERS_TOO_LARGE", 431, path="/v1/orders", rpc=GET,
         headers={f"a{number}": "x" * 480 for number in range(80)}),
    Case("too many headers", "HEADERS_TOO_LARGE", 431, path="/v1/orders", rpc=GET,
         headers={f"a{number}": "x" for number in range(112)}),
    Case("escaped slash in the path", "HTTP_MALFORMED", 400, path="/v1/orders/a%2Fb"),
    Case("escaped zero in the path", "HTTP_MALFORMED", 400, path="/v1/orders/a%00b"),
    Case("service fails by name", "ORDER_NOT_FOUND", 404, path="/v1/orders/ord_1", rpc=GET, headers={"x-test-error": "NOT_FOUND"}),
    Case("service fails without details", "OVERLOADED", 429, path="/v1/orders/ord_1",
         headers={"x-test-error": "bare:RESOURCE_EXHAUSTED"}, answer=LATER),
    Case(SLOW, "DEADLINE_EXPIRED", 504, path="/v1/products/prd_1", token=None,
         rpc="/weft.order.v1.ProductService/GetProduct", headers={"x-test-sleep": "20"}),
    Case("service shuts down", "SERVICE_UNAVAILABLE", 503, path="/v1/orders/ord_1",
         headers={"x-test-error": "bare:CANCELLED"}, answer=LATER),
    Case("service is down", "SERVICE_UNAVAILABLE", 503, path="/v1/orders/ord_1", rpc=GET, edge="lonely_edge", answer=LATER, retry=True),
    Case("keys unavailable", "KEYS_UNAVAILABLE", 503, path="/v1/orders/ord_1", rpc=GET, edge="keyless_edge", answer=LATER, retry=True),
]  # fmt: skip
PROTOCOLS = ("HTTP/1.1", "HTTP/2", "gRPC")
ASKED = [
    (case, protocol) for case in CASES for protocol in PROTOCOLS if (case.rpc if protocol == "gRPC" else case.path)
]
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
    if not case.headers.get("x-test-error"):
        assert refusal.code == contract.reasons[domain, case.reason].code
    assert refusal.headers["x-content-type-options"] == "nosniff"
    assert refusal.headers["x-request-id"]
    assert refusal.retry == case.retry
    if protocol == "gRPC":
        return
    assert refusal.status == case.status
    assert refusal.violations == ([case.violation] if case.violation else [])
    assert not case.metadata or dict(refusal.info.metadata) == case.metadata
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
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    response = httpx.Response(int(lines[0].split()[1]), headers=headers, content=body)
    refusal = protocols.of_response(response)
    assert (refusal.status, refusal.info.reason) == (status, reason)
    assert log_of(edge, headers["x-request-id"])["status"] == status


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    found = b""
    while chunk := connection.recv(65536):
        found += chunk
    return found


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
