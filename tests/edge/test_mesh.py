"""The edge of the whole mesh: what services refuse has one reason through every protocol, and what is internal stays so."""

import json
import uuid
from base64 import urlsafe_b64decode as b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from weft.notification.v1 import inbox_service_pb2
from weft.order.v1 import order_pb2, order_service_pb2, product_service_pb2
from weft.user.v1 import auth_service_pb2, partner_service_pb2, user_service_pb2

import contract as contracts
from contract import Method
from tests.edge import protocols

pytestmark = pytest.mark.e2e
METHODS = contracts.load().methods
PROTOCOLS = ("HTTP/1.1", "HTTP/2", "gRPC", "HTTPS")
LINE = {"productId": "prd_01k4000000e008000000000001", "quantity": 1}
ORDER = {"lines": [LINE], "paymentMethod": "pm_sandbox_ok", "customerId": "usr_01k40000000000000000000000"}
ABSENT = "01k40000000000000000000000"


@dataclass(frozen=True)
class Case:
    """A call that a service refuses, as JSON and as the message of the same content."""

    name: str
    reason: str
    status: int
    verb: str
    path: str
    rpc: str
    message: Message
    who: str = "partner"
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    domain: str = "weft.api.v1"
    violations: tuple[str, ...] = ()


def order(**fields: Any) -> order_service_pb2.CreateOrderRequest:
    """`ORDER` as a message."""
    line = order_pb2.OrderLineInput(product_id=LINE["productId"], quantity=1)
    usual = {"lines": [line], "payment_method": ORDER["paymentMethod"], "customer_id": ORDER["customerId"]}
    return order_service_pb2.CreateOrderRequest(**{**usual, **fields})


CREATE, GET, LIST = (f"/weft.order.v1.OrderService/{name}" for name in ("CreateOrder", "GetOrder", "ListOrders"))
KEY = {"idempotency-key": "a-key-of-this-test"}
CASES = [
    Case("no token", "TOKEN_MISSING", 401, "GET", "/v1/orders", LIST, order_service_pb2.ListOrdersRequest(), who=""),
    Case("bad token", "TOKEN_INVALID", 401, "GET", "/v1/orders", LIST, order_service_pb2.ListOrdersRequest(), who="forger"),
    Case("wrong kind of caller", "CALLER_NOT_ALLOWED", 403, "GET", "/v1/partners",
         "/weft.user.v1.PartnerService/ListPartners", partner_service_pb2.ListPartnersRequest()),
    Case("a partner at a user's inbox", "CALLER_NOT_ALLOWED", 403, "GET", "/v1/inbox",
         "/weft.notification.v1.InboxService/ListInbox", inbox_service_pb2.ListInboxRequest()),
    Case("wrong scope", "SCOPE_MISSING", 403, "GET", "/v1/users", "/weft.user.v1.UserService/ListUsers",
         user_service_pb2.ListUsersRequest(), who="reader"),
    Case("bounds broken", "REQUEST_INVALID", 400, "POST", "/v1/orders", CREATE, order(lines=[], payment_method="card"),
         body={**ORDER, "lines": [], "paymentMethod": "card"}, headers=KEY, violations=("lines", "paymentMethod")),
    Case("a hundred bad lines", "REQUEST_INVALID", 400, "POST", "/v1/orders", CREATE,
         order(lines=[order_pb2.OrderLineInput()] * 100), body={**ORDER, "lines": [{}] * 100}, headers=KEY,
         violations=tuple(f"lines[{n}].{name}" for n in range(10) for name in ("productId", "quantity"))),
    Case("a text that cannot be stored", "REQUEST_INVALID", 400, "POST", "/v1/orders", CREATE,
         order(external_reference="a\0b"), body={**ORDER, "externalReference": "a\0b"}, headers=KEY,
         violations=("externalReference",)),
    Case("a field that is updated and not given", "REQUEST_INVALID", 400, "PATCH",
         f"/v1/products/prd_{ABSENT}?updateMask=title", "/weft.order.v1.ProductService/UpdateProduct",
         product_service_pb2.UpdateProductRequest(product={"product_id": f"prd_{ABSENT}"}, update_mask={"paths": ["title"]}),
         who="operator", body={"active": True}, violations=("title",)),
    Case("page size below zero", "REQUEST_INVALID", 400, "GET", "/v1/orders?page_size=-1", LIST,
         order_service_pb2.ListOrdersRequest(page_size=-1), violations=("page_size",)),
    Case("page token of nobody", "PAGE_TOKEN_INVALID", 400, "GET", "/v1/orders?page_token=made-up", LIST,
         order_service_pb2.ListOrdersRequest(page_token="made-up")),
    Case("no idempotency key", "IDEMPOTENCY_KEY_MISSING", 400, "POST", "/v1/orders", CREATE, order(), body=ORDER),
    Case("bad idempotency key", "IDEMPOTENCY_KEY_INVALID", 400, "POST", "/v1/orders", CREATE, order(), body=ORDER,
         headers={"idempotency-key": "k" * 256}),
    Case("no such order", "ORDER_NOT_FOUND", 404, "GET", f"/v1/orders/ord_{ABSENT}", GET,
         order_service_pb2.GetOrderRequest(order_id=f"ord_{ABSENT}"), domain="weft.order.v1"),
    Case("no such product", "PRODUCT_NOT_FOUND", 404, "GET", f"/v1/products/prd_{ABSENT}",
         "/weft.order.v1.ProductService/GetProduct", product_service_pb2.GetProductRequest(product_id=f"prd_{ABSENT}"),
         who="", domain="weft.order.v1"),
    Case("no such customer", "CUSTOMER_NOT_FOUND", 404, "POST", "/v1/orders", CREATE, order(), body=ORDER, headers=KEY,
         domain="weft.order.v1"),
    Case("wrong password", "CREDENTIALS_INVALID", 401, "POST", "/v1/auth:signIn", "/weft.user.v1.AuthService/SignIn",
         auth_service_pb2.SignInRequest(email="nobody@example.com", password="wrong"), who="",
         body={"email": "nobody@example.com", "password": "wrong"}, domain="weft.user.v1"),
]  # fmt: skip
ASKED = [(case, protocol) for case in CASES for protocol in PROTOCOLS]


@pytest.fixture(scope="module")
def tokens(mesh: dict[str, Any]) -> dict[str, str]:
    """Bearer tokens by kind of caller; `reader` is a partner's client with one scope."""
    with httpx.Client(base_url=mesh["edge"], timeout=20) as edge:
        operator = edge.post("/v1/auth:signIn", json=mesh["operator"]).json()["accessToken"]
        edge.headers["authorization"] = f"Bearer {operator}"
        wanted = {"displayName": f"Readers {uuid.uuid4()}", "scopes": ["orders.read"]}
        partner = edge.post("/v1/partners", json={**wanted, "plan": "PLAN_PREMIUM"}).json()
        reader = edge.post(f"/v1/partners/{partner['partnerId']}/clients", json=wanted).json()
        del edge.headers["authorization"]

        def token(client_id: str, secret: str) -> str:
            form = {"grant_type": "client_credentials"}
            answer = edge.post("/oauth2/token", data=form, auth=(client_id, secret))
            assert answer.status_code == 200, answer.text
            return str(answer.json()["access_token"])

        own = token(mesh["partner"]["client_id"], mesh["partner"]["client_secret"])
        return {
            "operator": operator,
            "partner": own,
            "reader": token(reader["clientId"], reader["secret"]),
            "forger": own[:-8] + "AAAAAAAA",
        }


@pytest.mark.parametrize(("case", "protocol"), ASKED, ids=[f"{case.name} · {protocol}" for case, protocol in ASKED])
def test_a_service_refuses_with_one_reason_through_every_protocol(
    case: Case, protocol: str, mesh: dict[str, Any], tokens: dict[str, str]
) -> None:
    headers = dict(case.headers)
    if case.who:
        headers["authorization"] = f"Bearer {tokens[case.who]}"
    if protocol == "gRPC":
        target = mesh["edge"].removeprefix("http://")
        with pytest.raises(grpc.RpcError) as raised:
            protocols.native(target, case.rpc, case.message.SerializeToString(), list(headers.items()))
        named = protocols.of_call(raised.value).violations  # as messages have them; tests of the service judge those
        refusal = protocols.assert_refusal(raised.value, case.reason, violations=named)
    else:
        body = {"json": case.body} if case.body is not None else {}
        if protocol == "HTTPS":
            response = httpx.request(
                case.verb, mesh["edge_tls"] + case.path, headers=headers, verify=protocols.trusting(mesh["ca"]), **body
            )
        else:
            response = protocols.rest(mesh["edge"], int(protocol[5]), case.verb, case.path, headers, body)
        refusal = protocols.assert_refusal(response, case.reason, violations=dict.fromkeys(case.violations, ""))
        assert refusal.status == case.status
        if case.status == 401 and case.domain == "weft.api.v1":
            assert refusal.headers["www-authenticate"].startswith('Bearer realm="weft"')
    assert refusal.info.domain == case.domain
    assert refusal.headers["x-request-id"]


def test_the_issuer_of_tokens_is_where_it_is_found(mesh: dict[str, Any], tokens: dict[str, str]) -> None:
    issuer = json.loads(b64decode(tokens["partner"].split(".")[1] + "=="))["iss"]
    found = httpx.get(f"{issuer}/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == issuer == mesh["edge"]
    keys = httpx.get(found["jwks_uri"]).json()["keys"]
    assert {key["alg"] for key in keys} == {"ES256"}
    for name in ("token_endpoint", "revocation_endpoint"):
        assert found[name].startswith(f"{issuer}/oauth2/")
        assert httpx.post(found[name], data={"token": "x"}).status_code != 404


def test_an_update_without_a_mask_takes_what_the_body_holds(mesh: dict[str, Any], tokens: dict[str, str]) -> None:
    headers = {"authorization": f"Bearer {tokens['operator']}"}
    wanted = {"title": "Ink", "price": {"amountMinor": "100", "currency": "EUR"}}  # no stock: others buy what is there
    with httpx.Client(base_url=mesh["edge"], timeout=20, headers=headers) as edge:
        made = edge.post("/v1/products", json=wanted).json()
        path = f"/v1/products/{made['productId']}"
        assert (made["active"], edge.patch(path, json={"active": False}).json()["active"]) == (True, False)
        found = edge.get(path).json()
    assert (found["active"], found["title"], found["price"]) == (False, "Ink", made["price"])


@pytest.mark.parametrize("method", [m for m in METHODS if m.internal], ids=lambda method: method.full_name)
def test_an_internal_rpc_is_for_named_services_alone(
    method: Method, mesh: dict[str, Any], tokens: dict[str, str]
) -> None:
    metadata = [("authorization", f"Bearer {tokens['operator']}")]
    for target in (edge.removeprefix("http://") for edge in mesh["edges"]):
        with pytest.raises(grpc.RpcError) as raised:
            protocols.native(target, method.path, b"", metadata)
        protocols.assert_refusal(raised.value, "ROUTE_NOT_FOUND")
    assert httpx.post(mesh["edge"] + method.path, json={}, headers=dict(metadata)).status_code == 404

    assert asked_directly(mesh, method, "edge", metadata) == "CALLER_NOT_ALLOWED"
    assert asked_directly(mesh, method, "internal", metadata) != "CALLER_NOT_ALLOWED"


def directly(mesh: dict[str, Any], service: str, identity: str) -> grpc.Channel:
    """A channel past the edge, with the certificate of an identity."""
    certificate = Path(mesh["internal"]["cert"]).with_name(f"{identity}.crt")
    credentials = grpc.ssl_channel_credentials(
        Path(mesh["ca"]).read_bytes(), certificate.with_suffix(".key").read_bytes(), certificate.read_bytes()
    )
    options = [("grpc.ssl_target_name_override", f"{service}.weft.internal")]
    return grpc.secure_channel(mesh["services"][service][0], credentials, options)


def asked_directly(mesh: dict[str, Any], method: Method, identity: str, metadata: list[tuple[str, str]]) -> str:
    """The reason that a service gives the bearer of a certificate; empty for an answer."""
    with directly(mesh, method.package.split(".")[1], identity) as channel:
        make = channel.unary_stream if method.server_streaming else channel.unary_unary
        call = make(method.path, lambda data: data, lambda data: data)
        try:
            reply = call(b"", metadata=metadata, timeout=20)
            if method.server_streaming:
                next(reply)
        except grpc.RpcError as error:
            return protocols.reason_of(error)
    return ""


@pytest.mark.parametrize(
    "path", ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
)
def test_health_and_reflection_are_not_for_strangers(path: str, mesh: dict[str, Any], tokens: dict[str, str]) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        protocols.native(
            mesh["edge"].removeprefix("http://"), path, b"", [("authorization", f"Bearer {tokens['operator']}")]
        )
    protocols.assert_refusal(raised.value, "ROUTE_NOT_FOUND")


def test_reflection_is_for_internal_callers(mesh: dict[str, Any]) -> None:
    def listed(identity: str) -> set[str]:
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        with directly(mesh, "order", identity) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            reply = next(stub.ServerReflectionInfo(iter([request]), timeout=20))
        return {service.name for service in reply.list_services_response.service}

    assert {"weft.order.v1.OrderService", "grpc.health.v1.Health"} <= listed("internal")
    with pytest.raises(grpc.RpcError) as raised:
        listed("edge")
    protocols.assert_refusal(raised.value, "CALLER_NOT_ALLOWED")


@pytest.fixture
def watching(mesh: dict[str, Any], tokens: dict[str, str]) -> Iterator[Callable[[], str]]:
    """A stream of order events that is open; each call returns its next line with data."""
    headers = {"authorization": f"Bearer {tokens['partner']}"}
    with httpx.stream("GET", f"{mesh['edge']}/v1/orders:watch", headers=headers, timeout=30) as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = (line for line in response.iter_lines() if line)
        yield lambda: next(lines)


def test_a_stream_says_at_once_that_it_lives(watching: Callable[[], str]) -> None:
    assert watching().startswith('data: {"cursor":')
