"""Messages and enums as JSON Schema 2020-12, in the JSON that the edge speaks (protojson).

A message that travels both ways has two schemas, because they differ: a reply prints every field that cannot be absent
and may grow new ones; a request must hold what is REQUIRED and nothing unknown. The request's then ends in `.Input`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

import contract
from codegen.openapi import examples
from contract import Contract, rules

Json = dict[str, Any]

_INT32: Json = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Json = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**32 - 1}
_INT64: Json = {"type": "string", "format": "int64", "pattern": "^(0|-?[1-9][0-9]{0,18})$"}
_UINT64: Json = {"type": "string", "format": "uint64", "pattern": "^(0|[1-9][0-9]{0,19})$"}
_SCALARS: dict[int, Json] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}

WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
        "additionalProperties": True,
    },
}

_SENSITIVE = {1: "personal", 2: "secret"}


class Schemas:
    """The components of one document, filled as operations refer to them."""

    def __init__(self, read: Contract, samples: examples.Samples) -> None:
        self._contract = read
        self._samples = samples
        self.components: Json = {}
        self._answered = set(_reachable(read.pool.FindMessageTypeByName(m.output) for m in read.methods if m.route))

    def reply(self, message: Descriptor) -> Json:
        """The schema of a message in an answer, as a reference or, for well-known types, in place."""
        return self._message(message, request=False)

    def request(self, message: Descriptor, without: Iterable[str] = ()) -> Json:
        """The schema of a message in a body; `without` are fields that the path binds."""
        return self._message(message, request=True, without=frozenset(without))

    def field(self, field: FieldDescriptor, request: bool) -> Json:
        """The schema of one field with its bounds, comment and marks."""
        found = rules.rules(field)
        entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
        if entry is not None:
            schema: Json = {
                "type": "object",
                "additionalProperties": self._value(entry.fields_by_name["value"], request),
            }
        elif field.is_repeated:
            items = rules.keywords(found.repeated.items, field.enum_type) if request else {}
            schema = {"type": "array", "items": _joined(self._value(field, request), items)}
        else:
            schema = self._value(field, request)
        if request:
            schema = _joined(schema, rules.keywords(found, field.enum_type))
            if rules.ignores_zero(field) and schema.get("type") == "string":
                schema = {"anyOf": [{"const": ""}, schema]}
        return schema | self._marks(field, request, schema.get("description", ""))

    def _marks(self, field: FieldDescriptor, request: bool, said: str) -> Json:
        marks: Json = {}
        comment = " ".join(filter(None, (self._contract.comment(field.full_name), said)))
        if comment:
            marks["description"] = comment
        if "OUTPUT_ONLY" in rules.behaviours(field) and request:
            marks["readOnly"] = True
        kept = _SENSITIVE.get(contract.sensitivity(field))
        if kept:
            marks["x-sensitivity"] = kept
        if kept == "secret" and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            marks["format"] = "password"
            if request:
                marks["writeOnly"] = True
        return marks

    def _value(self, field: FieldDescriptor, request: bool) -> Json:
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.message_type is not None:
            return self._message(field.message_type, request)
        schema = dict(_SCALARS[field.type])
        if not request:
            schema.pop("minimum", None)
            schema.pop("maximum", None)
        return schema

    def _enum(self, enum: EnumDescriptor) -> Json:
        if enum.full_name not in self.components:
            lines = [f"- `{v.name}`: {self._contract.comment(f'{enum.full_name}.{v.name}')}" for v in enum.values]
            self.components[enum.full_name] = {
                "type": "string",
                "description": "\n".join([self._contract.comment(enum.full_name), "", *lines]),
                "enum": [value.name for value in enum.values],
            }
        return _reference(enum.full_name)

    def _message(self, message: Descriptor, request: bool, without: frozenset[str] = frozenset()) -> Json:
        if message.full_name in WELL_KNOWN:
            return dict(WELL_KNOWN[message.full_name])
        if message.full_name == "google.rpc.Status":
            return _reference(message.full_name)
        name = message.full_name + (".Input" if request and message.full_name in self._answered else "")
        if name not in self.components:
            self.components[name] = {}  # a message may hold itself
            self.components[name] = self._object(message, request, without)
        return _reference(name)

    def _object(self, message: Descriptor, request: bool, without: frozenset[str]) -> Json:
        fields = [field for field in message.fields if field.name not in without]
        schema: Json = {"type": "object", "properties": {f.json_name: self.field(f, request) for f in fields}}
        if self._contract.comment(message.full_name):
            schema["description"] = self._contract.comment(message.full_name)
        if request:
            needed = [f.json_name for f in fields if _needed(f)]
            schema["additionalProperties"] = False
        else:
            # Zero values are printed; what has presence may be absent.
            needed = [f.json_name for f in fields if not f.has_presence or _always_set(f)]
        if needed:
            schema["required"] = needed
        schema["examples"] = [self._samples.message(message, request, without)]
        return schema


def _needed(field: FieldDescriptor) -> bool:
    """Whether a request without the field is refused."""
    needed = rules.required(field) or rules.refuses_zero(field)
    return needed and not rules.ignores_zero(field) and "OUTPUT_ONLY" not in rules.behaviours(field)


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _joined(schema: Json, bounds: Json) -> Json:
    """The schema within its bounds. An enumeration that allows only some names replaces the reference."""
    if "enum" in bounds:
        return {"type": schema.get("type", "string"), **bounds}
    return schema | bounds


def _reachable(messages: Iterable[Descriptor]) -> Iterator[str]:
    waiting, seen = list(messages), set[str]()
    while waiting:
        message = waiting.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            yield message.full_name
            waiting += [field.message_type for field in message.fields if field.message_type is not None]


def _always_set(field: FieldDescriptor) -> bool:
    """Whether replies have an `optional` scalar for certain: it has presence for the sake of updates, and is never cleared."""
    oneof = field.containing_oneof
    explicit = field.message_type is None and oneof is not None and oneof.name == f"_{field.name}"
    return explicit and "OPTIONAL" not in rules.behaviours(field)
