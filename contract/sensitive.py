"""Whether a message holds personal data or secrets, by what the contract says of its fields."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

import contract
from contract import Contract

_Check = Callable[[Message], bool]


class Sensitive:
    """The sensitive fields of a type of message."""

    def __init__(self, read: Contract, name: str) -> None:
        self._checks = _checks(read, name, frozenset())

    def is_in(self, message: Message) -> bool:
        """Whether one of them is set."""
        return any(check(message) for check in self._checks)


def _checks(read: Contract, name: str, seen: frozenset[str]) -> list[_Check]:
    """For each field that is sensitive, or has such fields at any depth, whether one is set; made once, for a hot path."""
    found: list[_Check] = []
    if name in seen:
        return found
    for field in read.pool.FindMessageTypeByName(name).fields:
        below = _checks(read, field.message_type.full_name, seen | {name}) if field.message_type else []
        is_map = field.message_type and field.message_type.GetOptions().map_entry
        if contract.sensitivity(field) or (is_map and below):  # a map counts as a whole
            found.append(_is_set(field))
        elif below:
            found.append(_is_below(field, below))
    return found


def _is_set(field: FieldDescriptor) -> _Check:
    name = field.name
    return (lambda message: message.HasField(name)) if field.has_presence else attrgetter(name)


def _is_below(field: FieldDescriptor, below: list[_Check]) -> _Check:
    name = field.name
    if field.is_repeated:
        return lambda message: any(check(each) for each in getattr(message, name) for check in below)
    return lambda message: message.HasField(name) and any(check(getattr(message, name)) for check in below)
