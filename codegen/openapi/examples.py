"""Examples that validate: a comment's `backticked` word that the rules allow, else one that is made to fit them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract import Contract, rules

ID = "01k9m3v2c8e5t7r1x4n6q0w8za"
"""The time-ordered part of every sample id."""
ETAG = "3"
"""As `chassis.values.etags` makes them."""

_WELL_KNOWN: dict[str, Any] = {
    "google.protobuf.Timestamp": "2026-11-02T09:30:00Z",
    "google.protobuf.Duration": "3600s",
    "google.protobuf.Empty": {},
    "google.protobuf.Struct": {},
    "google.protobuf.Value": None,
    "google.protobuf.ListValue": [],
    "google.protobuf.Any": {"@type": "type.googleapis.com/google.protobuf.Empty", "value": {}},
}
_FORMATS = {
    "email": "ada@example.com",
    "uuid": "0193e8a4-5c1b-7d20-9c3e-2f6a1b8c4d5e",
    "uri": "https://shop.example/hook",
    "uri-reference": "/hook",
    "hostname": "shop.example",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


class Samples:
    """Sample values for the fields of one contract, the same at each run."""

    def __init__(self, read: Contract) -> None:
        self._contract = read

    def message(self, message: Descriptor, request: bool, without: frozenset[str] = frozenset(), depth: int = 0) -> Any:
        """A message as JSON: a request holds what a caller may set, a reply every field; of a oneof the first."""
        if message.full_name == "google.rpc.Status":
            return {"code": 14, "message": "The service is going down; resume from the cursor.", "details": []}
        if message.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[message.full_name]
        chosen = {}
        for field in message.fields:
            oneof = field.containing_oneof
            if field.name in without or (oneof is not None and oneof.fields[0] is not field) or depth > 5:
                continue
            if request and "OUTPUT_ONLY" in rules.behaviours(field):
                continue
            chosen[field.json_name] = self.field(field, request, depth)
        return chosen

    def field(self, field: FieldDescriptor, request: bool, depth: int = 0) -> Any:
        """One value for a field, a list of one for a repeated field."""
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            return {str(self._single(key, request, depth)): self._single(value, request, depth)}
        if field.is_repeated:
            return [self._single(field, request, depth)]
        return self._single(field, request, depth)

    def _single(self, field: FieldDescriptor, request: bool, depth: int) -> Any:
        found = rules.rules(field)
        bounds = rules.keywords(found.repeated.items if field.is_repeated else found, field.enum_type)
        if field.enum_type is not None:
            names = [value.name for value in field.enum_type.values]
            return bounds.get("enum", names[1:] or names)[0]
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
            return next((_camel(word) for word in self._words(field)), "")
        if field.message_type is not None:
            return self.message(field.message_type, request, depth=depth + 1)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return True
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text(field, bounds)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return "d2VmdA=="
        return _number(field, bounds)

    def _text(self, field: FieldDescriptor, bounds: dict[str, Any]) -> str:
        if field.name == "etag":
            return ETAG
        if not bounds and not self.has_sample(field):
            kin = self._kin(field.name)
            if kin is not None:
                return self._text(kin, rules.keywords(rules.rules(kin)))
        comment = self._contract.comment(field.full_name)
        known = re.findall(r"[Pp]refix `([a-z]+)_`", comment) + re.findall(
            r"([a-z]+)_\[0-7\]", bounds.get("pattern", "")
        )
        prefixes = [f"{prefix}_{ID}" for prefix in known]
        made = _FORMATS.get(bounds.get("format", ""), "")
        plain = [field.name.replace("_", " ").capitalize()] if "pattern" not in bounds else []
        for text in (*bounds.get("enum", ()), *prefixes, *self._words(field), made, *plain):
            if text and _fits(text, bounds):
                return str(text)
        pattern = bounds.get("pattern", "")
        text = fitting(pattern) if pattern else plain[0] if plain else ""
        while len(text) < bounds.get("minLength", 0):
            text += f" {text}"
        return text[: bounds.get("maxLength", len(text))]

    def has_sample(self, field: FieldDescriptor) -> bool:
        """Whether the field itself says what its text looks like, in its rules or its comment."""
        found = rules.rules(field)
        bounds = rules.keywords(found.repeated.items if field.is_repeated else found, field.enum_type)
        sample = re.search(r"such as `|[Pp]refix `", self._contract.comment(field.full_name))
        return sample is not None or not bounds.keys() <= {"minLength", "maxLength"}

    def _kin(self, name: str) -> FieldDescriptor | None:
        """A request's field of the same name that does say: a reply's fields often have no rules."""
        for method in self._contract.methods:
            field = self._contract.pool.FindMessageTypeByName(method.input).fields_by_name.get(name)
            if field is not None and not field.is_repeated and self.has_sample(field):
                return field
        return None

    def _words(self, field: FieldDescriptor) -> Iterator[str]:
        """The values that the comment shows: `such as `EUR``; without that word, whatever is in backticks."""
        comment = self._contract.comment(field.full_name)
        yield from re.findall(r"such as `([^`]+)`", comment)
        if "pattern" in rules.keywords(rules.rules(field), field.enum_type) or field.message_type is not None:
            yield from re.findall(r"`([^`]+)`", comment)


def _number(field: FieldDescriptor, bounds: dict[str, Any]) -> int | str:
    """One, or what is nearest to it within the bounds; 64 bits are a string."""
    if field.cpp_type not in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64):
        return int(min(max(1, bounds.get("minimum", 1)), bounds.get("maximum", 1 << 31)))
    return str(min(max(1, int(bounds.get("x-minimum", 1))), int(bounds.get("x-maximum", 1 << 62))))


def _fits(text: str, bounds: dict[str, Any]) -> bool:
    length = bounds.get("minLength", 0) <= len(text) <= bounds.get("maxLength", len(text))
    return length and re.search(bounds.get("pattern", ""), text) is not None


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def fitting(pattern: str) -> str:
    """A short text that a pattern matches: the last alternative, the first letter of a class, the fewest repeats."""
    return _fitting(re._parser.parse(pattern))  # type: ignore[attr-defined]  # the standard library's own parser


def _fitting(parsed: Any) -> str:
    steps: dict[str, Callable[[Any], str]] = {
        "LITERAL": chr,
        "NOT_LITERAL": lambda code: "a" if code != ord("a") else "b",
        "AT": lambda _: "",
        "ANY": lambda _: "a",
        "IN": _first_of,
        "BRANCH": lambda branch: _fitting(branch[1][-1]),
        "SUBPATTERN": lambda group: _fitting(group[3]),
        "MAX_REPEAT": lambda repeat: _fitting(repeat[2]) * max(repeat[0], min(1, repeat[1])),
    }
    return "".join(steps[str(code)](argument) for code, argument in parsed)


def _first_of(members: list[Any]) -> str:
    code, argument = members[0]
    if str(code) == "LITERAL":
        return chr(argument)
    if str(code) == "RANGE":
        return chr(argument[0])
    if str(code) == "NEGATE":
        return "~"
    return {"CATEGORY_DIGIT": "1", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}[str(argument)]
