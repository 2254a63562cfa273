"""Arguments as people write them → what a message's constructor takes.

Constructors take mappings for messages, `datetime` for Timestamp and `timedelta` for Duration by themselves; what they
do not take is short enum names and lists as field masks. Everything here returns `Any` because the stubs of protobuf
know nothing of this.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor


def plain(value: Any) -> Any:
    """As it is."""
    return value


def enum(prefix: str, value: str | int | None) -> Any:
    """`CONFIRMED` → `ORDER_STATE_CONFIRMED`; numbers and full names as they are."""
    return prefix + value if isinstance(value, str) and not value.startswith(prefix) else value


def enums(prefix: str, values: Iterable[str | int] | None) -> Any:
    """Each value."""
    return None if values is None else [enum(prefix, value) for value in values]


def mask(paths: Any) -> Any:
    """A list of paths → a FieldMask."""
    return {"paths": list(paths)} if isinstance(paths, Sequence) else paths


def message(kind: Descriptor, value: Any) -> Any:
    """A mapping whose enums and masks, at any depth, are written short; messages as they are."""
    if not isinstance(value, Mapping):
        return value
    return {name: _field(kind.fields_by_name.get(name), inner) for name, inner in value.items()}


def messages(kind: Descriptor, values: Iterable[Any] | None) -> Any:
    """Each value."""
    return None if values is None else [message(kind, value) for value in values]


def _field(field: FieldDescriptor | None, value: Any) -> Any:
    if field is None or value is None:
        return value  # the constructor names a field that does not exist
    each = field.is_repeated and not isinstance(value, Mapping)
    if field.enum_type is not None:
        short = prefix(field.enum_type.values[0].name)
        return enums(short, value) if each else enum(short, value)
    if field.message_type is None:
        return value
    if field.message_type.full_name == "google.protobuf.FieldMask":
        return mask(value)
    return messages(field.message_type, value) if each else message(field.message_type, value)


def prefix(first: str) -> str:
    """What all names of an enum begin with, from its first: `ORDER_STATE_UNSPECIFIED` → `ORDER_STATE_`."""
    return first.removesuffix("UNSPECIFIED")
