"""Comments of whole sentences on everything of ours; reasons that some RPC declares."""

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor

from contract import Contract
from contract.checks import messages

_SENTENCES = re.compile(r"^[A-Z0-9`][\s\S]*\.$")
SHARED = "weft.api.v1"
"""The package whose reasons any RPC may answer with."""


def faults(read: Contract) -> Iterator[str]:
    """A sentence for each fault, with what to write."""
    names = [method.full_name for method in read.methods]
    names += [f"{reason.domain}.ErrorReason.{reason.name}" for reason in read.reasons.values()]
    for message in messages.reachable(
        read, [name for method in read.methods for name in (method.input, method.output)]
    ):
        names += _names(message)
    for name in dict.fromkeys(names):
        if not _SENTENCES.match(read.comment(name)):
            yield f"{name} has no comment of whole sentences: say what it is, and end with a full stop."
    for method in read.methods:
        if method.keyless_because and not _SENTENCES.match(method.keyless_because):
            yield f"{method.full_name} says {method.keyless_because!r} under `keyless_because`: write a whole sentence."
    used = {(reason.domain, reason.name) for method in read.methods for reason in method.errors}
    for domain, name in read.reasons:
        if domain != SHARED and (domain, name) not in used:
            yield f"{domain}.ErrorReason.{name} is declared by no RPC: list it under an RPC's `errors`, or drop it."


def _names(message: Descriptor) -> Iterator[str]:
    if message.GetOptions().map_entry:  # protoc's own; the map has a comment
        return
    yield message.full_name
    for field in message.fields:
        yield field.full_name
        enum = field.enum_type
        if enum is not None and enum.full_name.startswith("weft."):
            yield enum.full_name
            yield from (f"{enum.full_name}.{value.name}" for value in enum.values)
