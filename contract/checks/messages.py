"""The messages of a contract that are ours."""

from collections.abc import Iterable

from google.protobuf.descriptor import Descriptor

from contract import Contract


def reachable(read: Contract, names: Iterable[str]) -> list[Descriptor]:
    """The messages of ours with these names, and those that they contain, each once."""
    found: dict[str, Descriptor] = {}
    waiting = [read.pool.FindMessageTypeByName(name) for name in names]
    while waiting:
        message = waiting.pop(0)
        if message.full_name.startswith("weft.") and message.full_name not in found:
            found[message.full_name] = message
            waiting += [field.message_type for field in message.fields if field.message_type]
    return list(found.values())
