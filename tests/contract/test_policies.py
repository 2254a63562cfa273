"""What holds for every RPC of the contract."""

import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

import contract
from contract import Key, Method, rules

CONTRACT = contract.load()
ROUTES = Path(__file__).parent / "routes.txt"
every_method = pytest.mark.parametrize("method", CONTRACT.methods, ids=lambda method: method.full_name)
every_reason = pytest.mark.parametrize("reason", CONTRACT.reasons.values(), ids=lambda r: f"{r.domain}.{r.name}")

_VERBS = {"Get": "GET", "List": "GET", "Watch": "GET", "Create": "POST", "Update": "PATCH", "Delete": "DELETE"}


def message(name: str) -> Descriptor:
    return CONTRACT.pool.FindMessageTypeByName(name)


@every_method
def test_an_rpc_of_the_descriptors_has_a_policy_that_was_read(method: Method) -> None:
    service = CONTRACT.pool.FindServiceByName(method.service)
    assert CONTRACT.by_path[method.path] is method
    assert [m.name for m in service.methods].count(method.name) == 1
    assert method.callers
    assert method.deadline > 0


def test_no_rpc_of_the_descriptors_is_missing() -> None:
    declared = {f"{service.full_name}.{method.name}" for service in CONTRACT.services for method in service.methods}
    assert {method.full_name for method in CONTRACT.methods} == declared


@every_method
def test_a_mutation_is_repeatable_or_keyed_or_says_why_not(method: Method) -> None:
    keyed = method.key in (Key.REQUIRED, Key.ACCEPTED)
    assert [method.repeatable, keyed, bool(method.keyless_because)].count(True) == 1
    assert not method.keyless_because or re.fullmatch(r"[A-Z].+\.", method.keyless_because)


@every_method
def test_a_list_pages(method: Method) -> None:
    if not method.name.startswith("List"):
        assert "page_token" not in message(method.input).fields_by_name
        return
    repeated = [f for f in message(method.output).fields if f.is_repeated]
    asked, answered = message(method.input).fields_by_name, message(method.output).fields_by_name
    assert asked["page_size"].type == FieldDescriptor.TYPE_INT32
    assert rules.keywords(rules.rules(asked["page_size"])) == {"minimum": 0}
    assert rules.keywords(rules.rules(asked["page_token"])) == {"maxLength": 1000}
    assert answered["next_page_token"].type == FieldDescriptor.TYPE_STRING
    assert len(repeated) == 1
    assert method.repeatable


@every_method
def test_names_follow_the_verbs(method: Method) -> None:
    assert method.input.rpartition(".")[2] == f"{method.name}Request"
    for verb, http in _VERBS.items():
        if re.match(rf"{verb}[A-Z]", method.name) and method.route is not None:
            assert method.route.verb == http
            assert method.server_streaming == (verb == "Watch")
    if method.name.startswith("Create"):
        # Without a GET of its own, there is no location to send.
        found = any(other.output == method.output and other.name.startswith("Get") for other in CONTRACT.methods)
        assert method.success == (201 if found else 200)
    if method.name.startswith("Update"):
        resource = method.route.body if method.route else ""
        assert {resource, "update_mask"} <= set(message(method.input).fields_by_name)
        assert method.repeatable


@every_method
def test_a_resource_that_is_updated_has_an_etag(method: Method) -> None:
    if method.name.startswith("Update"):
        assert "etag" in message(method.output).fields_by_name


@every_method
def test_a_route_follows_the_conventions(method: Method) -> None:
    if method.route is None:
        assert method.internal
        return
    route = method.route
    standard = r"/(?:v1(?:/(?:[a-z][A-Za-z]*|{[a-z_.]+}))+(?::[a-z][A-Za-z]*)?|oauth2/[a-z]+|\.well-known/[a-z.-]+)"
    assert re.fullmatch(standard, route.path), route.path
    assert bool(route.body) == (route.verb in ("POST", "PATCH"))
    custom = re.search(r":([a-z]+)[A-Za-z]*$", route.path)
    assert custom is None or method.name.lower().startswith(custom[1])
    for variable in route.variables:
        field = message(method.input)
        for name in variable.split("."):
            assert name in field.fields_by_name
            field = field.fields_by_name[name].message_type or field


@every_method
def test_the_owner_is_a_field_of_the_request(method: Method) -> None:
    if method.owner in ("", "*"):
        return
    node = message(method.input)
    for name in method.owner.split("."):
        assert name in node.fields_by_name
        node = node.fields_by_name[name].message_type or node


@every_method
def test_what_a_route_binds_is_required_and_bounded(method: Method) -> None:
    for variable in method.route.variables if method.route else ():
        if "." not in variable:
            field = message(method.input).fields_by_name[variable]
            assert rules.required(field)
            assert "pattern" in rules.keywords(rules.rules(field))


def _requests() -> dict[str, Descriptor]:
    found: dict[str, Descriptor] = {}
    waiting = [message(method.input) for method in CONTRACT.methods]
    while waiting:
        node = waiting.pop()
        if node.full_name.startswith("weft.") and node.full_name not in found:
            found[node.full_name] = node
            waiting += [field.message_type for field in node.fields if field.message_type]
    return found


FIELDS = [f for m in _requests().values() for f in m.fields if not m.full_name.startswith("weft.api.")]
asked_for = pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.full_name)


@asked_for
def test_a_required_field_refuses_its_zero_value(field: FieldDescriptor) -> None:
    raw = field.message_type is not None and field.message_type.full_name == "google.api.HttpBody"
    if raw or "REQUIRED" not in rules.behaviours(field):
        return
    found = rules.rules(field)
    said = rules.keywords(found, field.enum_type)
    if field.is_repeated:
        assert said["minItems"] >= 1
    elif field.has_presence:
        assert found.required
    elif field.type == FieldDescriptor.TYPE_STRING:
        refused = re.search(said.get("pattern", ""), "") is None
        assert refused or said.get("minLength", 0) >= 1 or "format" in said
    elif field.enum_type is not None:
        assert field.enum_type.values_by_number[0].name not in said["enum"]
    elif "pattern" in said:
        assert not re.search(said["pattern"], "0")
    else:
        assert said.get("minimum", 0) >= 1 or 0 in said.get("not", {}).get("enum", [])


def _ours() -> list[Descriptor]:
    found, waiting = [], [message(name) for m in CONTRACT.methods for name in (m.input, m.output)]
    while waiting:
        node = waiting.pop()
        if node.full_name.startswith("weft.") and node not in found:
            found.append(node)
            waiting += [field.message_type for field in node.fields if field.message_type]
    return found


EVERY_FIELD = [field for node in _ours() for field in node.fields]
SECRET = re.compile(r"(^|_)(password|secret|code)$|^(access|refresh)_token$|^(totp|recovery)_codes?$")
PERSONAL = re.compile(r"(^|_)(email|phone|display_name|given_name|family_name|address)$")


@pytest.mark.parametrize("field", EVERY_FIELD, ids=lambda field: field.full_name)
def test_a_field_whose_name_says_secret_or_personal_is_marked_so(field: FieldDescriptor) -> None:
    company = field.containing_type.name in ("Partner", "Client", "CreatePartnerRequest", "CreateClientRequest")
    marked = contract.sensitivity(field)
    if SECRET.search(field.name) and field.enum_type is None:  # a name of the contract is no secret
        assert marked == 2
    elif PERSONAL.search(field.name) and not company:
        assert marked == 1
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    assert options.debug_redact == (marked != 0)


@every_reason
def test_a_reason_is_named_in_capitals(reason: contract.Reason) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", reason.name)


@every_reason
def test_a_reason_of_a_service_is_declared_by_an_rpc(reason: contract.Reason) -> None:
    if reason.domain != "weft.api.v1":
        assert any(reason in method.errors for method in CONTRACT.methods)


def test_everything_of_ours_has_a_comment_of_whole_sentences() -> None:
    silent = []
    for node in _ours():
        names = [node.full_name, *(field.full_name for field in node.fields)]
        enums = {
            field.enum_type
            for field in node.fields
            if field.enum_type and field.enum_type.full_name.startswith("weft.")
        }
        for enum in enums:
            names += [enum.full_name, *(f"{enum.full_name}.{value.name}" for value in enum.values)]
        silent += [name for name in names if not re.search(r"^[A-Z0-9`][\s\S]*\.$", CONTRACT.comment(name))]
    for method in CONTRACT.methods:
        if not re.match(r"[A-Z][\s\S]*\.$", method.comment):
            silent.append(method.full_name)
    assert silent == []


def test_names_and_routes_are_those_of_the_api_design() -> None:
    listed = {}
    for line in ROUTES.read_text().splitlines():
        if line and not line.startswith("#"):
            name, verb, path = line.split()[:3]
            listed[name] = (verb, path)
    for method in CONTRACT.methods:
        assert method.full_name in listed, (
            f"{method.full_name} is not in tests/contract/routes.txt: add it, marked as ours"
        )
        route = ("-", "INTERNAL") if method.route is None else (method.route.verb, method.route.path)
        assert route == listed[method.full_name]
