"""schemathesis drives the running edge from the document: no server error, and no answer outside the schema.

The mesh is this module's own, because what is made up here (products, partners, users) would get in others' way.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
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

import contract
from codegen import openapi
from tests.edge.populated_mesh import Operation, PopulatedMesh, populated_mesh, real
from tests.mesh import Mesh

pytestmark = pytest.mark.e2e
DOCUMENT = openapi.document(contract.load())
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
EXAMPLES = 8
"""Requests for each operation that fit the schema, and as many that do not."""


def _operations() -> list[Operation]:
    found = [result.ok() for result in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]
    return sorted(found, key=lambda operation: operation.label)


def _parametrised(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.label)


OPERATIONS = _operations()
STREAMS = [o for o in OPERATIONS if "text/event-stream" in json.dumps(o.definition.raw["responses"])]
ELSEWHERE = (
    ":acceptInvitation",
    "{delivery_id}:replay",
    "{delivery_id}:retry",
    "{notification_id}:cancel",
    "{template_id}:publish",
    "{template_id}:test",
    ":approveReturn",
    ":refuseReturn",
    ":receiveReturn",
)
"""Need the code of a mail, a delivery that has ended, a notification that waits, a template of one's own, a return: see their nouns' tests."""
KEYED = [
    o
    for o in OPERATIONS
    if o.definition.raw["x-weft"]["idempotencyKey"] in ("REQUIRED", "ACCEPTED") and not o.path.endswith(ELSEWHERE)
]
DELIVERED = ("ship", "deliver")
BEFORE = {
    "reinstate": ("suspend",),
    "reactivate": ("deactivate",),
    "unlock": ("lock",),
    "deliver": ("ship",),
    "requestReturn": DELIVERED,
}
"""What brings a resource into the state that a verb needs."""
PAID = {
    "capture": {"capture": "CAPTURE_MODE_AT_SHIPMENT"},
    "confirm": {"paymentMethod": "pm_sandbox_declined"},
    "override": {"paymentMethod": "pm_sandbox_declined"},
    **{verb: {"note": "x"} for verb in ("ship", "deliver", "refund", "requestReturn")},
}
"""How an order is placed whose payment has to be asked for before a verb."""
CONDITIONAL = {"etag", "shipmentId", "phone", "addresses", "expectedTotal"}
"""Fields of a body that fit one version, one shipment, one total, addresses that exist, or a partner alone."""


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[PopulatedMesh]:
    """A mesh of our own with one of everything in it."""
    mesh = Mesh(folder / "driven").start()
    with populated_mesh(mesh.content) as found:
        yield found
    mesh.stop()


def _drive(strategy: st.SearchStrategy[Any], judge: Callable[..., None], callers: list[dict[str, str]]) -> None:
    """Run `judge(case, existing, headers)` on made-up cases, the same ones at each run."""
    bounded = settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    bounded(given(strategy, st.booleans(), st.sampled_from(callers))(judge))()


@_parametrised([o for o in OPERATIONS if o not in STREAMS])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_every_answer_is_one_of_the_document(operation: Operation, mode: GenerationMode, world: PopulatedMesh) -> None:
    answered = set()
    refusal = [checks.negative_data_rejection] if mode is GenerationMode.NEGATIVE else []

    def judge(case: Any, existing: bool, headers: dict[str, str]) -> None:
        if existing and mode is GenerationMode.POSITIVE:
            case.path_parameters = real(case.path_parameters, world.ids)
            case.query = real(case.query, world.ids)
            case.body = real(case.body, world.ids)
        if operation.path.startswith("/v1/"):
            case.headers = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"} | headers
        answer = case.call(base_url=world.edge, timeout=20)
        answered.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS + refusal)

    try:
        _drive(operation.as_strategy(generation_mode=mode), judge, world.callers(operation))
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # what takes no parameters cannot be asked wrongly
        return
    assert answered


def _example(operation: Operation) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The path, the query and the body of the document's own example, as arguments of httpx."""
    raw = operation.definition.raw
    shown = {p["name"]: p["example"] for p in raw.get("parameters", []) if "example" in p and p["in"] != "header"}
    path = operation.path
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{name}}}", str(shown.pop(name)))
    for kind, described in raw.get("requestBody", {}).get("content", {}).items():
        return path, shown, {"data" if "form" in kind else "json": described.get("example", {})}
    return path, shown, {}


@_parametrised(OPERATIONS)
def test_every_path_and_method_answers_at_the_edge(operation: Operation, world: PopulatedMesh) -> None:
    path, query, body = _example(operation)
    headers = world.callers(operation)[0] | {"idempotency-key": str(uuid.uuid4())}
    method, url = operation.method.upper(), world.edge + path
    with httpx.stream(method, url, params=query, headers=headers, timeout=20, **body) as answer:
        assert str(answer.status_code) in operation.definition.raw["responses"]
        if operation in STREAMS:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
            return
        text = answer.read().decode()
    refused = "ROUTE_NOT_FOUND|METHOD_NOT_ALLOWED|UNKNOWN_FIELD|UNKNOWN_QUERY"
    opaque = [p for p in operation.definition.raw.get("parameters", []) if p["required"] and "example" not in p]
    if (
        "credential" not in body.get("json", {}) and not opaque
    ):  # what an authenticator makes, or a mail, and no document
        refused += "|REQUEST_INVALID"
    assert not re.search(refused, text), text


@_parametrised(KEYED)
def test_a_repeated_call_with_its_key_changes_nothing_and_gets_the_first_answer(
    operation: Operation, world: PopulatedMesh
) -> None:
    path, _, verb = operation.path.partition(":")
    ids, headers = world.fresh(PAID.get(verb)), world.callers(operation)[0] | {"idempotency-key": str(uuid.uuid4())}
    ids |= {"endpoint_id": world.endpoint()} if "{endpoint_id}" in path else {}
    shown = operation.definition.raw["requestBody"]["content"]["application/json"]["example"]
    unique = {name: f"{uuid.uuid4().hex}@example.com" for name in ("email", "externalReference") if name in shown}
    body = {name: value for name, value in (real(shown, ids) | unique).items() if name not in CONDITIONAL}
    resource, path = path.format(**ids), operation.path.format(**ids)
    for earlier in BEFORE.get(verb, ()):
        caller = world.caller("PARTNER" if earlier == "requestReturn" else "OPERATOR")
        world.call("POST", f"{resource}:{earlier}", {}, caller | {"idempotency-key": str(uuid.uuid4())}, expect=200)
    first, again = (world.call(operation.method.upper(), path, body, headers) for _ in range(2))
    assert first.status_code in (200, 201, 202), first.text
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers.get("location") == first.headers.get("location")
