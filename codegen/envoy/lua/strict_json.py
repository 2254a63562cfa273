"""The tables that `deploy/envoy/strict/*.lua` walks: paths, query parameters and body fields, from the descriptors."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.rpc import error_details_pb2

from codegen.envoy import bounds, local_replies
from codegen.envoy.deployment import Deployment
from codegen.envoy.lua.literals import Raw, lua
from contract import Contract, ContractError, Method, sizes

BASE = Path(__file__).resolve().parents[3] / "deploy" / "envoy" / "strict"
HEADERS = ("values", "refusals", "paths", "requests", "replies")
BODIES = ("values", "refusals", "json", "bodies")
_F = FieldDescriptor

_INTEGERS = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), "int32"),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), "uint32"),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), "int64"),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), "uint64"),
}
_SCALARS = {_F.TYPE_FLOAT: "float", _F.TYPE_DOUBLE: "number", _F.TYPE_BOOL: "bool", _F.TYPE_BYTES: "bytes"}
_WORDS = {
    "int32": "a whole number of 32 bits",
    "uint32": "a whole number of 32 bits, not negative",
    "int64": "a whole number of 64 bits",
    "uint64": "a whole number of 64 bits, not negative",
    "number": "a finite number",
    "float": "a finite number of 32 bits",
    "bool": "true or false",
    "bytes": "a string in base64",
    "timestamp": "a time such as 2026-01-31T12:00:00Z",
    "duration": "a duration such as 1.5s",
    "mask": "names of fields such as title,price.currency",
    "string": "a string",
}
_WELL_KNOWN = {
    "google.protobuf.Timestamp": ("scalar", "timestamp"),
    "google.protobuf.Duration": ("scalar", "duration"),
    "google.protobuf.FieldMask": ("scalar", "mask"),
    "google.protobuf.StringValue": ("scalar", "string"),
    "google.protobuf.BytesValue": ("scalar", "bytes"),
    "google.protobuf.BoolValue": ("scalar", "bool"),
    "google.protobuf.Int32Value": ("scalar", "int32"),
    "google.protobuf.UInt32Value": ("scalar", "uint32"),
    "google.protobuf.Int64Value": ("scalar", "int64"),
    "google.protobuf.UInt64Value": ("scalar", "uint64"),
    "google.protobuf.FloatValue": ("scalar", "float"),
    "google.protobuf.DoubleValue": ("scalar", "number"),
    "google.protobuf.Struct": ("object", ""),
    "google.protobuf.Any": ("object", ""),
    "google.protobuf.ListValue": ("array", ""),
    "google.protobuf.Value": ("free", ""),
}
ONE_LINE = "must be one line of visible ASCII"
HTTP_BODY = "google.api.HttpBody"


def headers(contract: Contract, deployment: Deployment) -> str:
    """The Lua that checks a request's headers: the tables, then the hand-written parts."""
    return "\n".join([tables(contract, deployment), *written(*HEADERS)])


def bodies(contract: Contract, deployment: Deployment) -> str:
    """The Lua that checks a request's body, behind headers, token and limit."""
    return "\n".join([tables(contract, deployment), *written(*BODIES)])


def written(*parts: str) -> list[str]:
    """Parts of the source that are written by hand."""
    return [(BASE / f"{part}.lua").read_text() for part in parts]


def tables(contract: Contract, deployment: Deployment) -> str:
    """The generated part of the source. Raises `ContractError` for a path template that the walker cannot match."""
    static: dict[str, bool] = {}
    if deployment.openapi:
        static["/openapi.json"] = True
    if deployment.front:
        static |= dict.fromkeys(("/", "/robots.txt", "/favicon.ico"), True)
    if deployment.docs:
        static["/docs"] = False
    if deployment.web:
        static["/app"] = False
    max_bytes, max_headers = bounds.MAX_HEADER_BYTES + bounds.OWN_HEADER_BYTES, bounds.MAX_HEADERS + bounds.OWN_HEADERS
    numbers = f"local HEADER_BYTES, HEADERS = {max_bytes}, {max_headers}\n"
    numbers += f"local MIN_REQUEST_BYTES, FRAME_BYTES, REFUSALS = {bounds.MIN_REQUEST_BYTES}, {bounds.FRAME_BYTES}, {deployment.refusals}\n"
    outside = {m.path: sizes.largest_body(m, contract) for m in contract.methods if not m.internal}
    streams = {m.path: bounds.STREAM_BYTES for m in contract.methods if m.server_streaming and not m.internal}
    found = {"STATIC": static, "ONCE": once(contract), "LARGEST": outside, "STREAMS": streams}
    said = "".join(f"local {name} = {lua(value)}\n" for name, value in found.items())
    return f"{Tables(contract).source()}{said}{numbers}"


def once(contract: Contract) -> dict[str, str]:
    """Headers that may come once, as two readers would choose differently, with the details of the refusal over gRPC."""
    reason = contract.reasons[local_replies.DOMAIN, "HTTP_MALFORMED"]
    found = {}
    for name in ("authorization", "content-type", "idempotency-key"):
        violation = error_details_pb2.BadRequest.FieldViolation(field=name, description=ONE_LINE)
        bad = error_details_pb2.BadRequest(field_violations=[violation])
        found[name] = local_replies.details(reason, f"{name} {ONE_LINE}.", bad)
    return found


class Tables:
    """Collects the rules of every method that is reached from outside, and the messages that they need."""

    def __init__(self, contract: Contract) -> None:
        """Raises `ContractError` for a path template that the walker cannot match."""
        self._pool = contract.pool
        self._messages: dict[str, dict[str, Any]] = {}
        self._oneofs: dict[str, dict[str, str]] = {}
        self._enums: dict[str, dict[str, bool]] = {}
        self._exact: dict[str, dict[str, Any]] = {}
        self._tree: dict[str, Any] = {}
        self._rules: dict[str, dict[str, Any]] = {}
        self._verbs: dict[str, bool] = {}
        for method in contract.methods:
            if method.route and not method.internal:
                self._add(method)

    def source(self) -> str:
        """The tables as Lua, each message on a line, in the order of names."""
        lines = ["-- Generated from the contract by codegen/envoy; do not edit.", "local S, E, M = {}, {}, {}"]
        lines += [f"S.{test} = {lua({'kind': 'scalar', 'test': test, 'what': what})}" for test, what in _WORDS.items()]
        lines += [f"E[{lua(name)}] = {lua(names)}" for name, names in sorted(self._enums.items())]
        lines += [f"M[{lua(name)}] = " + '{kind = "message", what = "an object"}' for name in sorted(self._messages)]
        lines += [f"M[{lua(name)}].fields = {lua(fields)}" for name, fields in sorted(self._messages.items())]
        lines += [
            f"M[{lua(name)}].oneofs = {lua(members)}" for name, members in sorted(self._oneofs.items()) if members
        ]
        lines += [f"local VERBS = {lua(self._verbs)}", "local R, EXACT = {}, {}"]
        lines += [f"R[{lua(name)}] = {lua(rule)}" for name, rule in sorted(self._rules.items())]
        lines += [f"EXACT[{lua(path)}] = {lua(rules)}" for path, rules in sorted(self._exact.items())]
        return "\n".join([*lines, f"local TREE = {lua(self._tree)}", ""])

    def _add(self, method: Method) -> None:
        assert method.route
        path, verb = segments(method)
        if verb:
            self._verbs[verb] = True
        self._rules[method.full_name] = self._rule(method)
        rule = Raw(f"R[{lua(method.full_name)}]")
        if "*" not in path and "**" not in path:
            self._exact.setdefault(method.route.path, {})[method.route.verb] = rule
        node = self._tree
        for segment in path:
            if segment == "**":
                node = node.setdefault("rest", {})
            elif segment == "*":
                node = node.setdefault("any", {})
            else:
                node = node.setdefault("literals", {}).setdefault(segment, {})
        verbs = node.setdefault("verbs", {}).setdefault(verb, {})
        if method.route.verb in verbs:
            raise ContractError(
                f"{method.full_name} has the route of another RPC: {method.route.verb} {method.route.path}."
            )
        verbs[method.route.verb] = rule

    def _rule(self, method: Method) -> dict[str, Any]:
        assert method.route
        message = self._pool.FindMessageTypeByName(method.input)
        body = method.route.body
        rule: dict[str, Any] = {"rpc": method.path, "path": method.route.path, "query": {}, **_variables(method)}
        rule["verb"] = segments(method)[1]
        if method.server_streaming:
            rule["streams"] = True
        if body != "*":
            rule["query"] = dict(self._parameters(message, {*method.route.variables, body}))
        content = message if body == "*" else message.fields_by_name[body].message_type if body else None
        if content is not None and content.full_name == HTTP_BODY:
            rule["body"] = "raw"
        elif content is not None:
            rule["body"] = self._message(content)
            bound = dict(_bound(method, content))
            if bound:
                rule["bound"] = bound
        return rule

    def _parameters(
        self,
        message: Descriptor,
        taken: set[str],
        path: str = "",
        spellings: Iterable[str] = ("",),
        above: tuple[str, ...] = (),
    ) -> Iterator[tuple[str, Any]]:
        """Every spelling of every query parameter; proto and JSON names may be mixed along a dotted path."""
        for field in message.fields:
            name = f"{path}{field.name}"
            if name in taken:
                continue
            spelt = [f"{prefix}{own}" for prefix in spellings for own in dict.fromkeys((field.name, field.json_name))]
            inner = field.message_type
            if inner is None or inner.full_name in _WELL_KNOWN:
                if inner is None or _WELL_KNOWN[inner.full_name][0] == "scalar":
                    node = self._node(field)
                    yield from ((one, node) for one in spelt)
            elif not field.is_repeated and inner.full_name not in above and inner.full_name != HTTP_BODY:
                deeper = [f"{one}." for one in spelt]
                yield from self._parameters(inner, taken, f"{name}.", deeper, (*above, message.full_name))

    def _node(self, field: FieldDescriptor, alone: bool = False) -> Any:
        """The node of a field; `alone` leaves out that it is repeated, as a query repeats the name instead."""
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            key, value = (self._node(inner.fields_by_name[name]) for name in ("key", "value"))
            return {"kind": "map", "keys": key, "of": value, "what": "an object"}
        if field.is_repeated and not alone:
            return {"kind": "list", "of": self._node(field, alone=True), "what": "an array"}
        if inner is not None:
            return self._message(inner)
        enum = field.enum_type
        if enum is not None:
            if enum.full_name == "google.protobuf.NullValue":
                return {"kind": "null", "what": "null"}
            known = [(value.name, str(value.number)) for value in enum.values]
            self._enums[enum.full_name] = {spelt: True for pair in known for spelt in pair}
            named = Raw(f"E[{lua(enum.full_name)}]")
            return {"kind": "scalar", "test": "enum", "names": named, "what": _one_of(enum)}
        if field.type in _INTEGERS:
            return _scalar(_INTEGERS[field.type])
        return _scalar(_SCALARS.get(field.type, "string"))

    def _message(self, message: Descriptor) -> Any:
        name = message.full_name
        if name in _WELL_KNOWN:
            kind, test = _WELL_KNOWN[name]
            if kind == "scalar":
                return _scalar(test)
            return {"kind": kind, "what": {"object": "an object", "array": "an array"}.get(kind, "a value")}
        if name not in self._messages:
            fields, members = self._messages[name], self._oneofs[name] = {}, {}
            for field in message.fields:
                fields[field.name] = fields[field.json_name] = self._node(field)
                one = field.containing_oneof
                if one is not None and len(one.fields) > 1:  # one of one field only makes it optional
                    members[field.name] = members[field.json_name] = one.name
        return Raw(f"M[{lua(name)}]")


def _variables(method: Method) -> dict[str, Any]:
    """The places of the path's variables: which part of the path, from 1, by the variable as the template writes it."""
    assert method.route
    parts = method.route.path.strip("/").split("/")
    found = {part.partition("}")[0] + "}": number for number, part in enumerate(parts, 1) if part.startswith("{")}
    return {"variables": found} if found else {}


def _bound(method: Method, body: Descriptor) -> Iterator[tuple[str, int]]:
    """The body's fields that the path says too, in both spellings, and which part of the path (from 1) says them."""
    assert method.route
    prefix = "" if method.route.body == "*" else f"{method.route.body}."
    parts = method.route.path.strip("/").split("/")
    for variable in method.route.variables:
        name = variable.removeprefix(prefix)
        whole = [number for number, part in enumerate(parts, 1) if part.partition("}")[0] == f"{{{variable}"]
        if whole and name in body.fields_by_name and variable == f"{prefix}{name}":
            yield from ((spelt, whole[0]) for spelt in {name, body.fields_by_name[name].json_name})


def segments(method: Method) -> tuple[list[str], str]:
    """A route's template as literals, `*` and a last `**`, and its verb: `/v1/a/{b}:c` → `["v1", "a", "*"], "c"`.

    Raises `ContractError` where `**` is not last.
    """
    assert method.route
    template = re.sub(r"{[^}=]+}", "*", method.route.path)
    template = re.sub(r"{[^}=]+=([^}]*)}", r"\1", template)
    template, _, verb = template.partition(":")
    parts = template.strip("/").split("/")
    if "**" in parts[:-1]:
        raise ContractError(
            f"{method.full_name} has `**` before the end of {method.route.path}: the edge cannot match it."
        )
    return parts, verb


def _scalar(test: str) -> Raw:
    return Raw(f"S.{test}")


def _one_of(enum: EnumDescriptor) -> str:
    """The names that an enum has for callers, as far as a sentence holds them."""
    names = [value.name for value in enum.values if not value.name.endswith("_UNSPECIFIED")]
    return "one of " + ", ".join(names)
