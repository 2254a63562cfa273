"""The events of the mesh as the contract announces them: a message whose comment begins with its type, as in "`order.placed`: …"."""

import re
from functools import cache

from google.protobuf.descriptor_pb2 import FileDescriptorSet

import contract as contracts
from contract.reader import DESCRIPTORS


@cache
def events() -> dict[str, str]:
    """The payload of each type, by its full name. Every message of a file `…events.proto` has a type."""
    contract, found = contracts.load(), dict[str, str]()
    for file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        if not file.package.startswith("weft."):
            continue
        for message in file.message_type:
            name = f"{file.package}.{message.name}"
            type = re.match(r"\s*`([a-z_]+\.[a-z_]+)`:", contract.comment(name))
            assert type or not file.name.endswith("events.proto"), f"{name}: its comment begins with its type"
            if type:
                found[type[1]] = name
    return found
