"""schemathesis drives the running edge from the document: no server error, and no answer outside the schema.

The mesh is this module's own, because what is made up here (products, partners, users) would get in others' way.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from codegen import openapi
from services.chassis import contract
from tests.mesh import Mesh

pytestmark = pytest.mark.e2e
DOCUMENT = openapi.document(contract.load())
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
EXAMPLES = 12
"""Requests for each operation that keep to the schema, and as many that do not."""
Operation = Any


def _operations() -> list[Operation]:
    found = [result.ok() for result in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]
    return sorted(found, key=lambda operation: operation.label)


OPERATIONS = _operations()
STREAMS = [o for o in OPERATIONS if "text/event-stream" in json.dumps(o.definition.raw["responses"])]
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
every_answer = pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if o not in STREAMS], ids=lambda operation: operation.label
)


@dataclass(frozen=True)
class Known:
    """The edge, tokens by kind of caller, and ids of things that exist by the name of their field."""

    edge: str
    tokens: dict[str, str]
    ids: dict[str, str]

    def callers(self, operation: Operation) -> list[dict[str, str]]:
        """Authorization headers that the operation takes: one for each kind of caller that we are."""
        kinds = operation.definition.raw["x-weft"]["callers"]
        return [{"authorization": self.tokens[kind]} for kind in kinds if kind in self.tokens] or [{}]


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[dict[str, Any]]:
    """A mesh of our own: the content of its mesh file."""
    started = Mesh(folder / "driven").start()
    yield started.content
    started.stop()


@pytest.fixture(scope="module")
def known(own: dict[str, Any]) -> Iterator[Known]:
    """The mesh with one of everything in it."""
    mesh = own
    with httpx.Client(base_url=mesh["edge"], timeout=20) as edge:

        def post(path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
            headers = {"authorization": token, "idempotency-key": str(uuid.uuid4())}
            answer = edge.post(path, json=body, headers=headers)
            assert answer.status_code == 201, answer.text
            return answer.json()

        operator = f"Bearer {edge.post('/v1/auth:signIn', json=mesh['operator']).json()['accessToken']}"
        credentials = (mesh["partner"]["client_id"], mesh["partner"]["client_secret"])
        form = {"grant_type": "client_credentials"}
        token = edge.post("/oauth2/token", data=form, auth=credentials)
        assert token.status_code == 200, token.text
        partner = f"Bearer {token.json()['access_token']}"
        price = {"amountMinor": "1250", "currency": "EUR"}
        product = post("/v1/products", {"title": "Kettle", "price": price, "stock": "1000000"}, partner)
        user = post("/v1/users", {"email": "ada@example.com"}, partner)
        order = post(
            "/v1/orders",
            {
                "customerId": user["userId"],
                "paymentMethod": "pm_sandbox_ok",
                "lines": [{"productId": product["productId"], "quantity": 1}],
            },
            partner,
        )
        wanted = {"displayName": "Other", "scopes": ["orders.read"]}
        other = post("/v1/partners", wanted | {"plan": "PLAN_FREE"}, operator)
        client = post(f"/v1/partners/{other['partnerId']}/clients", wanted, operator)
        ids = {
            "product_id": product["productId"],
            "user_id": user["userId"],
            "customer_id": user["userId"],
            "order_id": order["orderId"],
            "payment_id": order["paymentId"],
            "partner_id": other["partnerId"],
            "client_id": client["clientId"],
        }
        yield Known(mesh["edge"], {"PARTNER": partner, "OPERATOR": operator, "USER": operator}, ids)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)


def _real(node: Any, ids: dict[str, str]) -> Any:
    """The same JSON, with ids of things that exist where the name of a field is known."""
    if isinstance(node, dict):
        return {
            name: ids[_snake(name)] if isinstance(value, str) and _snake(name) in ids else _real(value, ids)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [_real(value, ids) for value in node]
    return node


def _drive(strategy: st.SearchStrategy[Any], judge: Callable[..., None], callers: list[dict[str, str]]) -> None:
    """Run `judge(case, real, headers)` on made-up cases, the same ones at each run."""
    bounded = settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    bounded(given(strategy, st.booleans(), st.sampled_from(callers))(judge))()


@every_answer
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_every_answer_is_one_of_the_document(operation: Operation, mode: GenerationMode, known: Known) -> None:
    statuses = set()

    def judge(case: Any, real: bool, headers: dict[str, str]) -> None:
        if real and mode is GenerationMode.POSITIVE:
            case.path_parameters = _real(case.path_parameters, known.ids)
            case.query = _real(case.query, known.ids)
            case.body = _real(case.body, known.ids)
        if operation.path.startswith("/v1/"):
            case.headers = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"} | headers
        answer = case.call(base_url=known.edge, timeout=20)
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    try:
        _drive(operation.as_strategy(generation_mode=mode), judge, known.callers(operation))
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # an operation without parameters cannot be asked wrongly
        return
    assert statuses


@every_operation
def test_every_path_and_method_answers_at_the_edge(operation: Operation, known: Known) -> None:
    raw = operation.definition.raw
    given_ = {p["name"]: p["example"] for p in raw.get("parameters", []) if "example" in p and p["in"] != "header"}
    path = operation.path
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{name}}}", str(given_.pop(name)))
    content = raw.get("requestBody", {}).get("content", {})
    body: dict[str, Any] = {}
    for kind, described in content.items():
        body = {"json": described["example"]} if kind == "application/json" else {"data": described["example"]}
    headers = known.callers(operation)[0] | {"idempotency-key": str(uuid.uuid4())}
    query = {} if operation in STREAMS else given_
    with httpx.stream(
        operation.method.upper(), known.edge + path, params=query, headers=headers, timeout=20, **body
    ) as answer:
        assert str(answer.status_code) in raw["responses"]
        if operation in STREAMS:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
            return
        text = answer.read().decode()
    assert not re.search("ROUTE_NOT_FOUND|METHOD_NOT_ALLOWED|UNKNOWN_FIELD|UNKNOWN_QUERY|REQUEST_INVALID", text), text
