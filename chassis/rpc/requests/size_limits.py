"""What is too long in a request, or cannot be stored, found before anything else walks it.

Each request type is compiled once, from its bounds, into the checks of those fields that can be too long. A list of a
million entries is refused by its count, and the first finding ends the search.
"""

from collections.abc import Callable
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from chassis.rpc.requests import wording
from contract import sizes

Found = tuple[list[str], str]
"""The path to a value, innermost first and with `[3]` for an entry of a list, and what is allowed there."""
Check = Callable[[Any], Found | None]

NUL = "must not contain the character U+0000"
"""The one character that protobuf and JSON can hold and PostgreSQL cannot."""
TIME = "must be a time between the years 1 and 9999"
DURATION = "must be at most 10,000 years"


def compiled(message: Descriptor, within: tuple[str, ...] = ()) -> Check | None:
    """The check of a message; None where nothing in it can be too long. A recursive message is checked one level deep."""
    if message.full_name in within:
        return None
    inside = (*within, message.full_name)
    fields = [(field.name, check) for field in message.fields if (check := _field(field, inside)) is not None]

    def check_message(value: Any) -> Found | None:
        for name, check in fields:
            found = check(value)
            if found is not None:
                found[0].append(name)
                return found
        return None

    return check_message if fields else None


def _field(field: FieldDescriptor, within: tuple[str, ...]) -> Check | None:
    """The check, given a message, of one of its fields."""
    name = field.name
    if field.is_repeated:
        check = _map(field, within) if _is_map(field) else _list(field, within)
    else:
        check = _value(field, sizes.rules(field), within)
    if check is None:
        return None
    if field.message_type is None or field.is_repeated:
        return lambda message: check(getattr(message, name))
    return lambda message: check(getattr(message, name)) if message.HasField(name) else None


def _list(field: FieldDescriptor, within: tuple[str, ...]) -> Check | None:
    limit, check = sizes.max_items(field), _value(field, sizes.rules(field).repeated.items, within)

    def check_list(entries: Any) -> Found | None:
        if limit is not None and len(entries) > limit:
            return [], f"must have at most {limit} items"
        if check is not None:
            for place, entry in enumerate(entries):
                found = check(entry)
                if found is not None:
                    found[0].append(f"[{place}]")
                    return found
        return None

    return None if limit is None and check is None else check_list


def _map(field: FieldDescriptor, within: tuple[str, ...]) -> Check | None:
    limit, said = sizes.max_items(field), sizes.rules(field).map
    assert field.message_type is not None
    of = field.message_type.fields_by_name
    checks = _value(of["key"], said.keys, within), _value(of["value"], said.values, within)

    def check_map(entries: Any) -> Found | None:
        if limit is not None and len(entries) > limit:
            return [], f"must have at most {limit} entries"
        for entry in entries.items() if any(checks) else ():
            for part, check in zip(entry, checks, strict=True):
                found = check(part) if check else None
                if found is not None:
                    found[0].append(f'["{entry[0]}"]')
                    return found
        return None

    return None if limit is None and not any(checks) else check_map


def _value(field: FieldDescriptor, said: validate_pb2.FieldRules, within: tuple[str, ...]) -> Check | None:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(field, said)
    if field.type == FieldDescriptor.TYPE_BYTES:
        limit = sizes.max_length(said)
        return _max_size(len, limit, "bytes") if limit is not None else None
    if field.message_type is None:
        return None
    kind = field.message_type.full_name
    if kind in _WELL_KNOWN:
        return _WELL_KNOWN[kind]
    if kind in ("google.protobuf.StringValue", "google.protobuf.BytesValue"):
        check = _value(field.message_type.fields_by_name["value"], said, within)
        return (lambda message: check(message.value)) if check else None
    if kind in sizes.OPAQUE:
        size = sizes.max_bytes(field)
        return _max_size(lambda message: int(message.ByteSize()), size, "bytes") if size else None
    return compiled(field.message_type, within)


def _max_size(size: Callable[[Any], int], limit: int, unit: str) -> Check:
    return lambda value: ([], f"must have at most {limit} {unit}") if size(value) > limit else None


def _text(field: FieldDescriptor, said: validate_pb2.FieldRules) -> Check:
    limit, allowed = sizes.max_length(said), wording.length(field, said)

    def check_text(value: str) -> Found | None:
        if limit is not None and len(value) > limit:
            return [], allowed
        if "\0" in value:
            return [], NUL
        return None

    return check_text


def _mask(mask: Any) -> Found | None:
    if len(mask.paths) > sizes.MASK_PATHS:
        return [], f"must have at most {sizes.MASK_PATHS} paths"
    if any(len(path) > sizes.MASK_PATH_LENGTH for path in mask.paths):
        return [], f"must have paths of at most {sizes.MASK_PATH_LENGTH} characters"
    return None


def _time(time: Any) -> Found | None:
    return None if -62_135_596_800 <= time.seconds <= 253_402_300_799 and 0 <= time.nanos < 10**9 else ([], TIME)


def _duration(duration: Any) -> Found | None:
    fits = abs(duration.seconds) <= 315_576_000_000 and abs(duration.nanos) < 10**9
    return None if fits and duration.seconds * duration.nanos >= 0 else ([], DURATION)


_WELL_KNOWN: dict[str, Check] = {
    "google.protobuf.FieldMask": _mask,
    "google.protobuf.Timestamp": _time,  # google/protobuf/timestamp.proto says these bounds, and duration.proto those
    "google.protobuf.Duration": _duration,
}


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
