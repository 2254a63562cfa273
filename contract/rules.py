"""The single reader of what the protos say about a field's values: `buf.validate` and `google.api.field_behavior`.

The server enforces the same rules with protovalidate; here they become JSON Schema keywords and words.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from weft.api.v1 import policy_pb2

from contract.sizes import rules as rules

_BOUNDS = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum", "const": "const"}
_LENGTHS = {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern", "const": "const"}
_FORMATS = {"uri_ref": "uri-reference"} | {name: name for name in ("email", "uuid", "uri", "hostname", "ipv4", "ipv6")}
_ITEMS = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}
_PAIRS = {"min_pairs": "minProperties", "max_pairs": "maxProperties"}
_FLOATS = ("float", "double")
_ID = re.compile(r"\^(?:\$\|\^)?\(?(me\|)?([a-z]+_)\[0-7\]\[0-9a-hjkmnp-tv-z\]\{25\}\)?\$")
_WIDE = ("int64", "uint64", "sint64", "fixed64", "sfixed64")


class UntranslatedRule(Exception):
    """A rule of `buf.validate` that OpenAPI would lose; the message says where to teach it."""


def behaviours(field: FieldDescriptor) -> frozenset[str]:
    """A field's behaviours by name, such as `{"REQUIRED"}`."""
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    return frozenset(
        field_behavior_pb2.FieldBehavior.Name(value) for value in options.Extensions[field_behavior_pb2.field_behavior]
    )


def required(field: FieldDescriptor) -> bool:
    """Whether a request must set the field."""
    return "REQUIRED" in behaviours(field) or bool(rules(field).required)


@cache
def updatable(resource: Descriptor) -> dict[str, bool]:
    """The fields that an update may name, in the proto's order, and whether it may clear them (OPTIONAL).

    Every field that is not OUTPUT_ONLY, `etag` aside.
    """
    found = {field.name: behaviours(field) for field in resource.fields if field.name != "etag"}
    return {name: "OPTIONAL" in said for name, said in found.items() if "OUTPUT_ONLY" not in said}


def words_of_pattern(field: FieldDescriptor) -> str:
    """What the pattern of a text allows, to complete "must be …": `(weft.api.v1.format)`, or an id. Empty where neither."""
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    said = options.Extensions[policy_pb2.format]
    if said:
        return said
    pattern = items(field).string.pattern
    found = _ID.fullmatch(pattern)
    if not found:
        return ""
    me, prefix = found.groups()
    forms = [
        f"`{prefix}` and 26 characters",
        *(["`me`"] if me else []),
        *(["empty"] if pattern.startswith("^$") else []),
    ]
    return "an id: " + " or ".join(forms)


def items(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """The rules of a field's value, or of the values in a list."""
    said = rules(field)
    return said.repeated.items if field.is_repeated else said


def untranslated(field: FieldDescriptor) -> str:
    """Which rule of a field `keywords` does not know, in a sentence; empty where it knows all."""
    try:
        keywords(rules(field), field.enum_type)
        keywords(items(field), field.enum_type)
    except UntranslatedRule as error:
        return str(error)
    return ""


def ignores_zero(field: FieldDescriptor) -> bool:
    """Whether the rules do not apply to the field's zero value."""
    return bool(rules(field).ignore == validate_pb2.IGNORE_IF_ZERO_VALUE)


def refuses_zero(field: FieldDescriptor) -> bool:
    """Whether a field without presence breaks its rules when it is left out."""
    if field.has_presence or ignores_zero(field):
        return False
    said = keywords(rules(field), field.enum_type)
    if field.is_repeated:
        return bool(said.get("minItems") or said.get("minProperties"))
    if field.enum_type is not None:
        return field.enum_type.values[0].name not in said.get("enum", [field.enum_type.values[0].name])
    zero = "0" if "x-minimum" in said or "x-maximum" in said else ""
    matches = re.search(said.get("pattern", ""), zero) is not None
    return (
        not matches
        or bool(said.get("minLength"))
        or "format" in said
        or said.get("minimum", 0) > 0
        or 0 in said.get("not", {}).get("enum", ())
    )


def keywords(found: validate_pb2.FieldRules, enum: EnumDescriptor | None = None) -> dict[str, Any]:
    """JSON Schema keywords that say what the rules say; for a list's items ask with `rules.repeated.items`.

    64-bit integers are strings in JSON: their bounds become a `pattern` of digits, with `x-minimum` and `x-maximum`.
    Raises `UntranslatedRule` for a rule that is not known here.
    """
    said: dict[str, Any] = {}
    kind = found.WhichOneof("type")
    if kind is not None:
        written = {field.name: value for field, value in getattr(found, kind).ListFields()}
        if kind == "string":
            said = _text(written)
        elif kind == "repeated":
            said = _renamed(kind, written, _ITEMS, passed=("items",))
        elif kind == "map":
            said = _renamed(kind, written, _PAIRS, passed=("keys", "values"))
        elif kind == "enum":
            said = _choice(written, enum)
        elif kind in _WIDE:
            said = _wide(kind, written)
        elif kind in ("bool", "bytes", "timestamp", "duration", "any"):
            said = _renamed(kind, written, {"const": "const"})
        else:
            said = _number(kind, written)
    if found.cel or found.cel_expression:
        said["description"] = " ".join(rule.message for rule in found.cel if rule.message)
    return said


def _renamed(
    kind: str, written: Mapping[str, Any], names: Mapping[str, str], passed: Iterable[str] = ()
) -> dict[str, Any]:
    unknown = written.keys() - names.keys() - set(passed)
    if unknown:
        raise UntranslatedRule(f"The rule {kind}.{min(unknown)} has no JSON Schema yet: add it to contract/rules.py.")
    return {names[name]: value for name, value in written.items() if name in names}


def _text(written: dict[str, Any]) -> dict[str, Any]:
    written = dict(written)
    said: dict[str, Any] = {}
    for name, keyword in _FORMATS.items():
        if written.pop(name, False):
            said["format"] = keyword
    if "len" in written:
        said["minLength"] = said["maxLength"] = written.pop("len")
    said |= _listed(written)
    return said | _renamed("string", written, _LENGTHS)


def _number(kind: str, written: dict[str, Any]) -> dict[str, Any]:
    written = dict(written)
    said = _listed(written)
    if kind in _FLOATS:
        written.pop("finite", None)
    return said | _renamed(kind, written, _BOUNDS)


def _listed(written: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if "in" in written:
        said["enum"] = list(written.pop("in"))
    if "not_in" in written:
        said["not"] = {"enum": list(written.pop("not_in"))}
    return said


def _choice(written: dict[str, Any], enum: EnumDescriptor | None) -> dict[str, Any]:
    """The names that are allowed, where some are not; JSON has enums by name."""
    allowed, refused = written.get("in"), set(written.get("not_in", ()))
    _renamed("enum", written, {}, passed=("defined_only", "in", "not_in"))
    if enum is None or not (allowed or refused):
        return {}
    names = [v.name for v in enum.values if v.number not in refused and (not allowed or v.number in allowed)]
    return {"enum": names}


def _wide(kind: str, written: dict[str, Any]) -> dict[str, Any]:
    bounds = {name: int(value) for name, value in _number(kind, written).items() if name not in ("enum", "not")}
    lowest = 0 if kind in ("uint64", "fixed64") else -1
    low = bounds.get("minimum", bounds.get("exclusiveMinimum", lowest - 1) + 1)
    high = bounds.get("maximum", bounds.get("exclusiveMaximum", 1) - 1)
    if "const" in bounds:
        return {"const": str(bounds["const"])}
    bounded = "maximum" in bounds or "exclusiveMaximum" in bounds
    sign = "" if low >= 0 else "-?"
    zero = "" if low > 0 or 0 in written.get("not_in", ()) else "0|"
    said: dict[str, Any] = {"pattern": f"^({zero}{sign}{_up_to(max(abs(high), abs(low)) if bounded else 10**19 - 1)})$"}
    if "minimum" in bounds or "exclusiveMinimum" in bounds:
        said["x-minimum"] = str(low)
    if "maximum" in bounds or "exclusiveMaximum" in bounds:
        said["x-maximum"] = str(high)
    return said


def _up_to(most: int) -> str:
    """A pattern for 1 to `most`: exact for powers of ten, else for as many digits as it has."""
    digits = len(str(most))
    if most == 10 ** (digits - 1):
        return f"([1-9][0-9]{{0,{digits - 2}}}|{most})"
    return f"[1-9][0-9]{{0,{digits - 1}}}"
