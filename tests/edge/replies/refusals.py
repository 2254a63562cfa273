"""What the edge refuses, and how: every case, through every protocol that it can happen at."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import ECKey

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


CANCEL = "/v1/orders/ord_1:cancel"
"""Takes a small body: what is above its bound fits an HTTP/2 client's first window, so that the answer is read in any case."""


def post(json: Any = None, **more: Any) -> dict[str, Any]:
    """Fields of a case that posts an order."""
    return {"verb": "POST", "path": "/v1/orders", "body": {"json": json} if json is not None else {}} | more


def raw(text: str | bytes) -> dict[str, Any]:
    """Fields of a case that posts a text as JSON."""
    return {"verb": "POST", "path": "/v1/orders", "body": {"content": text}, "headers": JSON}


def streamed(size: int) -> dict[str, Any]:
    """Fields of a case that posts so many bytes and does not say before how many."""
    return {"verb": "POST", "path": CANCEL, "body": {"content": Pieces(size)}, "headers": JSON}


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
    Case("body too large", "BODY_TOO_LARGE", 413, **post({"reason": "x" * 60_000}, path=CANCEL), rpc=GET, request=b"x" * 60_000),
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
