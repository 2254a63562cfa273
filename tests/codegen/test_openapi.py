"""OpenAPI says what the contract says, and its examples are true."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import protovalidate
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from weft.order.v1.order_service_pb2 import ListOrdersRequest

import contract
from codegen import openapi, statuses
from codegen.openapi.errors import reasons
from contract import Caller, Key, Method

CONTRACT = contract.load()
DOCUMENT = openapi.document(CONTRACT)
ROOT = Path(__file__).resolve().parents[2]
routed = pytest.mark.parametrize("method", [m for m in CONTRACT.methods if m.route], ids=lambda m: m.full_name)
keyed = pytest.mark.parametrize("method", [m for m in CONTRACT.methods if m.key in (Key.REQUIRED, Key.ACCEPTED)])

_REGISTRY = Registry().with_resource("urn:weft", Resource(contents=DOCUMENT, specification=DRAFT202012))


def operation(method: Method) -> dict[str, Any]:
    assert method.route is not None
    return DOCUMENT["paths"][openapi.path(method.route)][method.route.verb.lower()]


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node and node["$ref"].startswith("#/components/"):
        kind, name = node["$ref"].removeprefix("#/components/").split("/", 1)
        node = DOCUMENT["components"][kind][name]
    return node


def message_class(name: str) -> type[Message]:
    """The generated class of a message of ours."""
    file = CONTRACT.pool.FindMessageTypeByName(name).file.name
    module = importlib.import_module(file.removesuffix(".proto").replace("/", ".") + "_pb2")
    return getattr(module, name.rpartition(".")[2])


def schema(name: str) -> dict[str, Any]:
    return DOCUMENT["components"]["schemas"][name]


def holds(value: Any, described: dict[str, Any]) -> None:
    """Fail unless `value` is valid; references are looked up in the document."""
    text = json.dumps(described).replace('"#/', '"urn:weft#/')
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(json.loads(text), registry=_REGISTRY, format_checker=checker).validate(value)


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"


def test_the_file_in_the_tree_is_that_document() -> None:
    assert json.loads((ROOT / openapi.FILE).read_text()) == DOCUMENT


def test_paths_and_methods_are_exactly_the_http_rules_of_the_descriptors() -> None:
    described = {(verb, path) for path, item in DOCUMENT["paths"].items() for verb in item}
    ruled = [(m.route.verb.lower(), openapi.path(m.route)) for m in CONTRACT.methods if m.route]
    assert described == set(ruled)
    assert len(ruled) == len(set(ruled))


@routed
def test_an_operation_answers_with_the_success_code_of_the_contract_and_no_other(method: Method) -> None:
    assert [int(status) for status in operation(method)["responses"] if status < "300"] == [method.success]


@routed
def test_an_operation_tells_its_comment_scope_and_callers(method: Method) -> None:
    said = operation(method)
    assert said["description"].startswith(method.comment)
    assert said["summary"] == method.comment.splitlines()[0]
    schemes = {name: scopes for way in said["security"] for name, scopes in way.items()}
    if method.public:
        assert schemes in ({}, {"client": []})
    else:
        assert set(schemes) == {"bearer"} | ({"oauth2"} if Caller.PARTNER in method.callers else set())
        assert set(map(tuple, schemes.values())) == {(method.scope,) if method.scope else ()}


def test_every_scope_is_one_of_the_token_endpoint() -> None:
    flow = DOCUMENT["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "/oauth2/token"
    assert set(flow["scopes"]) == {method.scope for method in CONTRACT.methods if method.scope}


@routed
def test_the_key_is_a_header_where_the_contract_takes_one(method: Method) -> None:
    found = [p["required"] for p in operation(method).get("parameters", []) if p["name"] == "Idempotency-Key"]
    assert found == {Key.REQUIRED: [True], Key.ACCEPTED: [False]}.get(method.key, [])


@routed
def test_answers_bear_their_headers(method: Method) -> None:
    answers = {int(status): resolved(answer) for status, answer in operation(method)["responses"].items()}
    success = answers[method.success]["headers"]
    assert {"x-request-id", "traceresponse", "x-ratelimit-limit", "x-ratelimit-remaining"} <= set(success)
    assert ("location" in success) == (method.success == 201)
    assert ("idempotency-replayed" in success) == (method.key in (Key.REQUIRED, Key.ACCEPTED))
    assert "retry-after" in answers[429]["headers"]


@routed
def test_each_reason_stands_under_its_status(method: Method) -> None:
    assert method.route is not None
    if method.route.path.startswith("/oauth2/"):
        return
    found = reasons(CONTRACT, method)
    assert set(method.errors) <= {reason for causes in found.values() for reason in causes}
    for status, causes in found.items():
        answer = resolved(operation(method)["responses"][str(status)])
        content = answer["content"]["application/json"]
        named = content["schema"]["properties"]["details"]["contains"]["properties"]["reason"]["enum"]
        assert named == sorted(reason.name for reason in causes)
        assert set(content["examples"]) == set(named)
        assert {statuses.of(reason) for reason in causes} == {status}
        assert all(f"`{reason.name}`" in answer["description"] for reason in causes)


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/revoke"])
def test_oauth_speaks_forms_and_its_own_errors(path: str) -> None:
    said = DOCUMENT["paths"][path]["post"]
    assert list(said["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    errors = {status: answer for status, answer in said["responses"].items() if status >= "400"}
    assert {"400", "401", "429", "503"} <= set(errors)
    for answer in errors.values():
        assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/oauth2.Error"}


def test_the_token_form_documents_its_fields() -> None:
    form = schema("oauth2.TokenRequest")
    assert set(form["properties"]) == {"grant_type", "refresh_token", "scope", "client_id", "client_secret"}
    assert form["required"] == ["grant_type"]


def test_bounds_of_the_contract_are_bounds_of_the_schema() -> None:
    order = schema("weft.order.v1.CreateOrderRequest")
    assert order["required"] == ["lines", "paymentMethod"]
    assert order["additionalProperties"] is False
    assert (order["properties"]["lines"]["minItems"], order["properties"]["lines"]["maxItems"]) == (1, 100)
    assert order["properties"]["paymentMethod"]["pattern"] == "^pm_[A-Za-z0-9_]{1,96}$"
    line = schema("weft.order.v1.OrderLineInput")["properties"]["quantity"]
    assert (line["minimum"], line["maximum"]) == (1, 1000)
    delta = schema("weft.order.v1.AdjustStockRequest")["properties"]["delta"]
    assert (delta["x-minimum"], delta["x-maximum"]) == ("-1000000000", "1000000000")
    assert re.search(delta["pattern"], "-5")
    assert not re.search(delta["pattern"], "0")


def test_wide_integers_are_strings_and_enums_are_names() -> None:
    product = schema("weft.order.v1.Product")["properties"]
    assert (product["stock"]["type"], product["stock"]["format"]) == ("string", "int64")
    state = schema("weft.order.v1.OrderState")
    assert state["type"] == "string"
    assert state["enum"][:2] == ["ORDER_STATE_UNSPECIFIED", "ORDER_STATE_PENDING"]
    assert "- `ORDER_STATE_PENDING`: Placed" in state["description"]


def test_a_reply_lists_what_is_always_printed_and_may_grow() -> None:
    order = schema("weft.order.v1.Order")
    assert "additionalProperties" not in order
    assert {"orderId", "lines", "state", "note"} <= set(order["required"])
    assert {"total", "createTime"}.isdisjoint(order["required"])


def test_a_message_that_travels_both_ways_is_described_for_each() -> None:
    said = DOCUMENT["paths"]["/v1/products/{product_id}"]["patch"]
    body = said["requestBody"]["content"]["application/json"]["schema"]
    answer = said["responses"]["200"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/weft.order.v1.Product.Input"}
    assert answer == {"$ref": "#/components/schemas/weft.order.v1.Product"}
    assert schema("weft.order.v1.Product.Input")["properties"]["createTime"]["readOnly"] is True


def test_fields_that_the_path_binds_are_not_in_the_body() -> None:
    assert set(schema("weft.order.v1.CancelOrderRequest")["properties"]) == {"reason"}
    assert DOCUMENT["paths"]["/v1/orders/{order_id}:cancel"]["post"]["requestBody"]["required"] is False


def test_secrets_are_passwords_and_personal_data_is_marked() -> None:
    form = schema("weft.user.v1.SignUpRequest")["properties"]
    description = form["password"].pop("description")
    assert description.startswith("Password of 12 to 128 characters")
    assert form["password"] == {
        "type": "string",
        "minLength": 12,
        "maxLength": 128,
        "x-sensitivity": "secret",
        "format": "password",
        "writeOnly": True,
    }
    assert form["email"]["x-sensitivity"] == "personal"


def test_a_query_is_typed_and_in_lower_camel_case() -> None:
    parameters = {p["name"]: p for p in DOCUMENT["paths"]["/v1/orders"]["get"]["parameters"]}
    fields = ListOrdersRequest.DESCRIPTOR.fields
    assert set(parameters) == {field.json_name for field in fields} >= {"pageSize", "states", "createTimeFrom"}
    assert parameters["states"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/weft.order.v1.OrderState"},
        "maxItems": 10,
    }
    assert parameters["createTimeFrom"]["schema"] == {"type": "string", "format": "date-time"}


def test_a_stream_is_server_sent_events() -> None:
    (content,) = DOCUMENT["paths"]["/v1/orders:watch"]["get"]["responses"]["200"]["content"].items()
    assert content[0] == "text/event-stream"
    assert content[1]["schema"]["contentSchema"] == {"$ref": "#/components/schemas/weft.order.v1.WatchOrdersResponse"}


def _examples(node: Any, where: str = "") -> list[tuple[str, Any, dict[str, Any]]]:
    """Every example of the document with the schema beside it."""
    found = []
    if isinstance(node, dict):
        if "schema" in node:
            values = [node["example"]] if "example" in node else []
            values += [resolved(e)["value"] for e in node.get("examples", {}).values()]
            found += [(where, value, node["schema"]) for value in values]
        if isinstance(node.get("examples"), list):
            found += [(where, value, node) for value in node["examples"]]
        for key, value in node.items():
            found += _examples(value, f"{where}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            found += _examples(value, f"{where}/{index}")
    return found


def test_every_example_is_valid() -> None:
    found = _examples(DOCUMENT["paths"]) + _examples(DOCUMENT["components"])
    assert len(found) > 300
    for where, value, described in found:
        try:
            holds(value, described)
        except jsonschema.ValidationError as error:
            pytest.fail(f"{where}: {error.message}")


@routed
def test_the_example_request_is_one_that_the_server_takes(method: Method) -> None:
    """Path, query and body examples, put together as the transcoder would, hold against the server's own validator."""
    assert method.route is not None
    said = operation(method)
    message = message_class(method.input)()
    content = said.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("example", {})
    request = dict(body) if method.route.body in ("", "*") else {method.route.body: body} if body else {}
    bound = {path.rpartition(".")[2]: path for path in method.route.variables}
    for parameter in said.get("parameters", []):
        if parameter["in"] == "header" or "example" not in parameter:
            continue
        node = request
        *parents, last = bound.get(parameter["name"], parameter["name"]).split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = parameter["example"]
    json_format.ParseDict(request, message)
    if "form" not in message.DESCRIPTOR.fields_by_name:
        protovalidate.validate(message)
