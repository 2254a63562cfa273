"""Whether a message holds personal data or secrets, by what the contract says of its fields."""

from __future__ import annotations

from google.protobuf.message import Message

import contract
from contract import Contract

_Paths = dict[str, "_Paths | None"]
"""The fields that are sensitive (None), or have such fields at any depth."""


class Sensitive:
    """The sensitive fields of a type of message."""

    def __init__(self, read: Contract, name: str) -> None:
        self._paths = _paths(read, name, frozenset())

    def is_in(self, message: Message) -> bool:
        """Whether one of them is set."""
        return bool(self._paths) and _is_in(message, self._paths)


def _paths(read: Contract, name: str, seen: frozenset[str]) -> _Paths:
    found: _Paths = {}
    if name in seen:
        return found
    for field in read.pool.FindMessageTypeByName(name).fields:
        if contract.sensitivity(field):
            found[field.name] = None
        elif field.message_type and field.message_type.GetOptions().map_entry:
            if _paths(read, field.message_type.full_name, seen | {name}):
                found[field.name] = None  # as a whole
        elif field.message_type and (below := _paths(read, field.message_type.full_name, seen | {name})):
            found[field.name] = below
    return found


def _is_in(message: Message, paths: _Paths) -> bool:
    for field, value in message.ListFields():
        if field.name not in paths:
            continue
        below = paths[field.name]
        if below is None or field.message_type is None:
            return True
        if any(_is_in(each, below) for each in (value if field.is_repeated else (value,))):
            return True
    return False
