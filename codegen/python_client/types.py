"""How fields and messages are written as Python types; and the module with the enums' names and the messages as dicts."""

from collections.abc import Iterator

from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from codegen.python_client.model import services
from codegen.python_client.source import docstring
from codegen.python_client.source import module as module_text
from services.chassis.contract import Contract

_SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: "int",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_UINT32: "int",
    FieldDescriptor.CPPTYPE_UINT64: "int",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
}
_COMFORTS = {
    "google.protobuf.Timestamp": "datetime",
    "google.protobuf.Duration": "timedelta",
    "google.protobuf.FieldMask": "Sequence[str]",
    "google.protobuf.Struct": "Mapping[str, Any]",
}
"""What is accepted in place of a well-known message."""
STANDARD = {
    "from collections.abc import AsyncIterator, Mapping, Sequence",
    "from datetime import datetime, timedelta",
    "from typing import Any, Literal, Required, TypedDict",
}


def file_alias(file: FileDescriptor) -> str:
    """`weft/order/v1/order.proto` → `order_order_pb2`: short, and unique over packages."""
    *folders, name = file.name.removesuffix(".proto").split("/")
    words = [word for word in folders if word not in ("weft", "google", "v1")]
    return "_".join([*words, name, "pb2"])


def import_of(file: FileDescriptor) -> str:
    """The import that `alias` needs."""
    folder, _, name = file.name.removesuffix(".proto").rpartition("/")
    return f"from {folder.replace('/', '.')} import {name}_pb2 as {file_alias(file)}"


def alias(message: Descriptor | EnumDescriptor) -> str:
    """A message or enum as generated code writes it: `order_order_pb2.Order`."""
    nested = message.full_name.removeprefix(f"{message.file.package}.")
    return f"{file_alias(message.file)}.{nested}"


def required(field: FieldDescriptor) -> bool:
    """Whether the contract says REQUIRED."""
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    return field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior]


def output_only(field: FieldDescriptor) -> bool:
    """Whether the contract says OUTPUT_ONLY."""
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    return field_behavior_pb2.OUTPUT_ONLY in options.Extensions[field_behavior_pb2.field_behavior]


def is_map(field: FieldDescriptor) -> bool:
    """Whether it is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def of_field(field: FieldDescriptor, types: str) -> str:
    """What an argument for a field accepts; names of this module's are prefixed with `types`."""
    if is_map(field):
        key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        return f"Mapping[{_one(key, types)}, {_one(value, types)}]"
    return f"Sequence[{_one(field, types)}]" if field.is_repeated else _one(field, types)


def _one(field: FieldDescriptor, types: str) -> str:
    if field.enum_type is not None:
        return f"{types}{field.enum_type.name}Name | {alias(field.enum_type)}.ValueType"
    if field.message_type is not None:
        message = field.message_type
        if message.full_name in _COMFORTS:
            return f"{_COMFORTS[message.full_name]} | {alias(message)}"
        return f"{alias(message)} | {types}{message.name}Dict" if dictable(message) else alias(message)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "bytes" if field.type == FieldDescriptor.TYPE_BYTES else "str"
    return _SCALARS[field.cpp_type]


def dictable(message: Descriptor) -> bool:
    """Whether it may be written as a dict: our own messages."""
    return message.file.name.startswith("weft/")


def accepted(contract: Contract) -> tuple[list[EnumDescriptor], list[Descriptor]]:
    """The enums and messages that arguments speak of, each once, by name."""
    enums: dict[str, EnumDescriptor] = {}
    messages: dict[str, Descriptor] = {}

    def visit(message: Descriptor) -> None:
        for field in message.fields:
            if field.enum_type is not None:
                enums[field.enum_type.full_name] = field.enum_type
            inner = field.message_type
            if inner is not None and dictable(inner) and inner.full_name not in messages:
                if not is_map(field):
                    messages[inner.full_name] = inner
                visit(inner)

    for internal in (False, True):
        for service in services(contract, internal=internal):
            for rpc in service.rpcs:
                # The internal part takes messages as they are.
                if not internal:
                    visit(rpc.request)
    return [enums[name] for name in sorted(enums)], [messages[name] for name in sorted(messages)]


def module(contract: Contract) -> str:
    """The module `weft_client.types` re-exports."""
    enums, messages = accepted(contract)
    imports = {"from __future__ import annotations", *STANDARD}
    for enum in enums:
        imports.add(import_of(enum.file))
    for message in messages:
        imports |= {import_of(field.message_type.file) for field in message.fields if field.message_type is not None}
        imports |= {import_of(field.enum_type.file) for field in message.fields if field.enum_type is not None}
    blocks = [_enum(contract, enum) for enum in enums]
    blocks += ["\n".join(_message(contract, message)) for message in messages]
    return module_text("Names of enums and messages as dicts, as arguments accept them.", imports, blocks)


def _enum(contract: Contract, enum: EnumDescriptor) -> str:
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    names = ", ".join(f'"{value.name.removeprefix(prefix)}"' for value in enum.values[1:])
    return f"{enum.name}Name = Literal[{names}]\n{docstring(contract.comment(enum.full_name), 0)}"


def _message(contract: Contract, message: Descriptor) -> Iterator[str]:
    resource = any(output_only(field) for field in message.fields)
    yield f"class {message.name}Dict(TypedDict, total=False):"
    yield docstring(contract.comment(message.full_name), 4)
    for field in message.fields:
        kind = of_field(field, "")
        # A resource is also sent in part, in updates.
        yield f"\n    {field.name}: {f'Required[{kind}]' if required(field) and not resource else kind}"
        yield docstring(contract.comment(f"{message.full_name}.{field.name}"), 4)
