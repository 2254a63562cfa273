"""Two readers of one path or query never disagree, as `test_two_readers` says of bodies."""

import re
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.edge import protocols
from tests.edge.laboratory import RPCS, Laboratory
from tests.edge.requests.odd_json import NUMBERS, TEXTS
from tests.edge.requests.readers import fields


def parameters(lab: Laboratory) -> dict[str, FieldDescriptor]:
    """Names of query parameters in both spellings."""
    found = {}
    for field in fields(lab):
        if field.message_type is None or field.message_type.full_name.startswith("google.protobuf."):
            found |= {field.name: field, field.json_name: field}
    inner = lab.everything.DESCRIPTOR.fields_by_name["inner_field"].message_type
    return found | {f"innerField.{field.name}": field for field in inner.fields if field.message_type is None}


def asked(lab: Laboratory, name: str, field: FieldDescriptor, text: str) -> Message | None:
    """What json_format makes of a parameter, which is a string there, or a bool."""
    value: Any = {"true": True, "false": False}.get(text, text) if is_bool(field) else text
    if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type.full_name.endswith("FieldMask"):
        value = re.sub("_([a-z])", lambda found: found[1].upper(), text)  # the proto's names serve too
    for part in reversed(name.split(".")):
        value = {part: [value] if field.is_repeated else value}
    try:
        return json_format.ParseDict(value, lab.everything())
    except (json_format.ParseError, ValueError, OverflowError, TypeError, AttributeError):
        return None


def is_bool(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_BOOL or (
        field.message_type is not None and field.message_type.full_name.endswith("BoolValue")
    )


def test_every_kind_of_value_in_every_query_parameter(lab: Laboratory) -> None:
    differing, passed = [], set()
    texts = [*NUMBERS, *TEXTS, "a b", "a+b", "a&b=c", "\x00", "%41"]
    for name, field in parameters(lab).items():
        for text in texts:
            response, _, arrived = lab.ask_often("GET", f"/v1/everything?{quote(name)}={quote(text)}")
            if arrived is None:
                refusal = protocols.of_response(response)
                if [*refusal.violations] != [name] or response.status_code != 400:
                    differing.append(f"{name}={text}: refused as {refusal}")
                continue
            expected = asked(lab, name, field, text)
            if expected is None or arrived.SerializeToString() != expected.SerializeToString():
                differing.append(f"{name}={text}: arrived as {arrived}, is {expected}")
            else:
                passed.add(name)
    assert differing == []
    assert passed == {name for name, field in parameters(lab).items() if can_be_asked(field)}


def can_be_asked(field: FieldDescriptor) -> bool:
    return field.message_type is None or field.message_type.name not in ("Struct", "Value", "ListValue")


QUERIES = [
    "stringField=a&stringField=b",
    "string_field=a&stringField=b",
    "manyStringField=a&many_string_field=b",
    "stringField",
    "stringField=",
    "=a",
    "&&stringField=a&&",
    "stringField=a=b",
    "stringField=%",
    "stringField=%4",
    "stringField=%zz",
    "%73tringField=a",
    "stringField=%ff",
    "stringField=a;int32Field=1",
    "StringField=a",
    "chosenText=a&chosenNumber=1",
    "innerField.text=a&inner_field.text=b",
    "innerField.text=a&innerField.line2=2",
    "innerField=a",
    "innerField.inner.text=a",
    "innerField.inner.inner.text=a",
    "map_0.a=b",
    "structField.a=b",
    "many_innerField.text=a",
]


@pytest.mark.parametrize("query", QUERIES)
def test_queries_of_every_shape(query: str, lab: Laboratory) -> None:
    response, _, arrived = lab.ask("GET", f"/v1/everything?{query}")
    if arrived is None:
        assert protocols.reason_of(response) in (
            "REQUEST_INVALID",
            "UNKNOWN_QUERY_PARAMETER",
            "HTTP_MALFORMED",
        )
        return
    wanted: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        name, _, text = unquote_plus(pair).partition("=")
        *outer, last = name.split(".")
        place = wanted
        for part in outer:
            place = place.setdefault(part, {})
        if last.startswith("many"):
            place.setdefault("manyStringField", []).append(text)
        else:
            assert last not in place
            place[last] = text
    assert arrived == json_format.ParseDict(wanted, lab.everything())


TEMPLATES = {
    (rule[0].upper(), re.compile("^" + re.sub(r"{(?:thing\.)?(\w+)}", r"(?P<\1>[^/:]+)", rule[1]) + "$")): name
    for name, rule in ((name, re.findall(r'(\w+): "([^"]+)"', route)[0]) for name, (_, _, route) in RPCS.items())
}
PARTS = ["things", "things:count", "thing", "first", "parts", "v1", "a", "a:eat", ":eat", "a:", ":", "a:b", "a:eat:eat", "a%3Aeat", "%3Aeat",
         "a%2520b", "%C3%A4", "", ".", "..", "a;b", "a,b", "{thing_id}", "*", "a%3fb", "count", ":count", "first:eat"]  # fmt: skip


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verb=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=4),
    plain=st.booleans(),
)
def test_a_path_is_one_rpc_to_all_who_read_it(verb: str, parts: list[str], plain: bool, lab: Laboratory) -> None:
    path = "/v1/" + ("things/" if plain else "") + "/".join(parts)
    body = {"json": {}} if verb in ("POST", "PATCH") else {}
    response, reached, arrived = lab.ask(verb, path, **body)
    if arrived is None:
        assert protocols.reason_of(response) in (
            "ROUTE_NOT_FOUND",
            "METHOD_NOT_ALLOWED",
            "HTTP_MALFORMED",
        )
        return
    seen = httpx.URL(f"http://edge{path}").raw_path.decode()  # as the client sends it
    found = [(name, template.match(seen)) for (of, template), name in TEMPLATES.items() if of == verb]
    matching = [(name, match.groupdict()) for name, match in found if match]
    literal = [one for one in matching if one[0] == "GetFirst"] or matching
    assert [name for name, _ in literal] == [reached], seen
    variables = {name: unquote(text) for name, text in literal[0][1].items()}
    request: Any = arrived
    assert {
        name: getattr(request.thing if reached == "UpdateThing" else request, name) for name in variables
    } == variables
