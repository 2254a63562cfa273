"""How large a request may be, from the bounds that the contract writes for each field.

The edge limits the body of each route by it; the server refuses what is larger before parsing.
"""

import math
import re
from functools import cache

from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from weft.api.v1 import policy_pb2

from contract import Contract, Method

MAX_BODY = 1024 * 1024
"""Bytes of any request: as many as a service parses in a moment, whatever they are."""
MASK_PATHS, MASK_PATH_LENGTH = 32, 100
"""Bounds of every google.protobuf.FieldMask."""

_HEADROOM, _STEP = 4096, 1024  # bytes, for white space and for fields of a newer contract
_SCALAR = 40  # bytes of a number, bool, timestamp or duration however it is written
_JSON, _WIRE = 12, 4  # bytes of one character at most: as `\ud83d\ude00`, in UTF-8; of ASCII, as `\u0061`, half
_NOT_ASCII = re.compile(r"[^\x00-\x7f]|\[\^|(?<!\\)\.|\\[^.]")  # in a pattern: what may match more than ASCII
_FIXED = frozenset(
    f"google.protobuf.{name}"
    for name in (
        "Timestamp", "Duration", "Empty", "BoolValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value",
        "FloatValue", "DoubleValue",
    )
)  # fmt: skip
OPAQUE = frozenset(
    ("google.api.HttpBody", *(f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue")))
)
"""Messages without bounds of their own: a field of such a type says `(weft.api.v1.max_bytes)`."""


def largest_body(method: Method, contract: Contract) -> int:
    """The bytes that a request of the method may have at most, as JSON or as protobuf; larger ones are never valid.

    Counts every field at its bound with every character escaped, plus headroom; rounded up to KiB and capped at
    `MAX_BODY`. A method without fields still has the headroom.
    """
    return math.ceil(min(MAX_BODY, largest(method, contract)))


def largest(method: Method, contract: Contract) -> float:
    """The same without the cap; infinite where a field has no bound."""
    request = contract.pool.FindMessageTypeByName(method.input)
    needed = _message(request, (), _WIRE if method.route is None else _JSON) + _HEADROOM
    return needed if needed == math.inf else math.ceil(needed / _STEP) * _STEP


def rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """The rules that the proto writes for a field; empty where it writes none."""
    return _options(field).Extensions[validate_pb2.field]


def max_bytes(field: FieldDescriptor) -> int | None:
    """The bytes that a field of an opaque type may have; None where the proto does not say."""
    return _options(field).Extensions[policy_pb2.max_bytes] or None


def max_items(field: FieldDescriptor) -> int | None:
    """The entries that a list or map may have; None where the proto does not say."""
    said = rules(field)
    if said.HasField("map"):
        return said.map.max_pairs if said.map.HasField("max_pairs") else None
    return said.repeated.max_items if said.repeated.HasField("max_items") else None


def max_length(said: validate_pb2.FieldRules) -> int | None:
    """The characters of a text or the bytes of a `bytes` value under these rules; None where nothing bounds them."""
    if said.HasField("bytes"):
        return _least(said.bytes, "max_len", "len")
    text = said.string
    widths = [_least(text, "max_len", "len", "max_bytes", "len_bytes")]
    if text.HasField("pattern"):
        widths.append(_width(text.pattern))
    if text.HasField("const"):
        widths.append(len(text.const))
    if text.uuid:
        widths.append(36)
    listed = getattr(text, "in")
    if listed:
        widths.append(max(map(len, listed)))
    return min((width for width in widths if width is not None), default=None)


def _least(said: validate_pb2.StringRules | validate_pb2.BytesRules, *names: str) -> int | None:
    return min((getattr(said, name) for name in names if said.HasField(name)), default=None)


@cache
def _width(pattern: str) -> int | None:
    """The characters that a pattern matches at most; None where it is open at an end or repeats without a bound."""
    alternatives = pattern.split("|^")
    if not pattern.startswith("^") or not all(part.endswith("$") for part in alternatives):
        return None
    # The parser is private; nothing public tells a pattern's width.
    width = re._parser.parse(pattern).getwidth()[1]  # type: ignore[attr-defined]
    return None if width >= 10**6 else int(width)


def _message(message: Descriptor, within: tuple[str, ...], character: int) -> float:
    if message.full_name in within:
        return math.inf
    return 2 + sum(_field(field, (*within, message.full_name), character) for field in message.fields)


def _field(field: FieldDescriptor, within: tuple[str, ...], character: int) -> float:
    name = max(len(field.name), len(field.json_name)) + 4  # quotes, colon, comma
    if not field.is_repeated:
        return name + _value(field, rules(field), within, character)
    items = max_items(field)
    if items is None:
        return math.inf
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[part] for part in ("key", "value"))
        said = rules(field).map
        return (
            name
            + 2
            + items * (2 + _value(key, said.keys, within, character) + _value(value, said.values, within, character))
        )
    return name + 2 + items * (1 + _value(field, rules(field).repeated.items, within, character))


def _value(field: FieldDescriptor, said: validate_pb2.FieldRules, within: tuple[str, ...], character: int) -> float:
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        length = max_length(said)
        plain = said.string.HasField("pattern") and _NOT_ASCII.search(said.string.pattern) is None
        return math.inf if length is None else 2 + length * (character // 2 if plain else character)
    if field.enum_type is not None:
        return max(_SCALAR, 2 + max(len(value.name) for value in field.enum_type.values))
    if field.message_type is None:
        return _SCALAR
    kind = field.message_type.full_name
    if kind in _FIXED:
        return _SCALAR
    if kind == "google.protobuf.FieldMask":
        return 2 + MASK_PATHS * (MASK_PATH_LENGTH + 1)
    if kind in ("google.protobuf.StringValue", "google.protobuf.BytesValue"):
        return _value(field.message_type.fields_by_name["value"], said, within, character)
    if kind in OPAQUE:
        size = max_bytes(field)
        return (
            math.inf
            if size is None
            else size * (1 if kind == "google.api.HttpBody" or character == _WIRE else character // 2)
        )
    return _message(field.message_type, within, character)


def _options(field: FieldDescriptor) -> descriptor_pb2.FieldOptions:
    return descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
