"""How fields and messages are written as Python types; and the module with the enums' names and the messages as dicts."""

from collections import Counter
from collections.abc import Iterator

from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from codegen.python_client.model import services, short
from codegen.python_client.source import camel, docstring
from codegen.python_client.source import module as module_text
from contract import Contract

Names = dict[str, str]
"""What a type is called that arguments accept in place of a message or an enum, by the latter's full name."""

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
    "from collections.abc import Mapping",
    "from collections.abc import Sequence",
    "from datetime import datetime",
    "from datetime import timedelta",
    "from typing import Any",
    "from typing import Literal",
    "from typing import Required",
    "from typing import TypedDict",
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
    return f"{file_alias(message.file)}.{message.full_name.removeprefix(f'{message.file.package}.')}"


def nested(message: Descriptor | EnumDescriptor) -> str:
    """`OuterInner` of a message within another."""
    return message.full_name.removeprefix(f"{message.file.package}.").replace(".", "")


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


def of_field(field: FieldDescriptor, names: Names) -> str:
    """What an argument for a field accepts."""
    if field.message_type is not None and is_map(field):
        key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        return f"Mapping[{_one(key, names)}, {_one(value, names)}]"
    return f"Sequence[{_one(field, names)}]" if field.is_repeated else _one(field, names)


def _one(field: FieldDescriptor, names: Names) -> str:
    kind = field.enum_type or field.message_type
    if kind is None:
        return _scalar(field)
    own = f"{alias(kind)}.ValueType" if field.enum_type is not None else alias(kind)
    comfort = names.get(kind.full_name) or _COMFORTS.get(kind.full_name)
    return f"{comfort} | {own}" if comfort else own


def _scalar(field: FieldDescriptor) -> str:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "bytes" if field.type == FieldDescriptor.TYPE_BYTES else "str"
    return _SCALARS[field.cpp_type]


def dictable(message: Descriptor) -> bool:
    """Whether it may be written as a dict: our own messages."""
    return message.file.name.startswith("weft/")


def accepted(contract: Contract) -> tuple[list[EnumDescriptor], list[Descriptor]]:
    """The enums and messages that arguments of public calls speak of, each once, by name."""
    enums: dict[str, EnumDescriptor] = {}
    messages: dict[str, Descriptor] = {}

    def visit(message: Descriptor) -> None:
        for field in message.fields:
            if field.enum_type is not None:
                enums[field.enum_type.full_name] = field.enum_type
            inner = field.message_type
            if inner is not None and is_map(field):
                visit(inner)
            elif inner is not None and dictable(inner) and inner.full_name not in messages:
                messages[inner.full_name] = inner
                visit(inner)

    for service in services(contract, internal=False):
        for rpc in service.rpcs:
            visit(rpc.request)
    return [enums[name] for name in sorted(enums)], [messages[name] for name in sorted(messages)]


def names(contract: Contract, prefix: str = "") -> Names:
    """What the enums and messages of arguments are called here; the service comes first where two have one name."""
    enums, messages = accepted(contract)
    found = {kind.full_name: f"{nested(kind)}Name" for kind in enums} | {
        m.full_name: f"{nested(m)}Dict" for m in messages
    }
    often = Counter(found.values())
    kinds = {kind.full_name: kind for kind in (*enums, *messages)}
    for full_name, name in found.items():
        service = camel(short(kinds[full_name].file.package)) if often[name] > 1 else ""
        found[full_name] = f"{prefix}{service}{name}"
    return found


def module(contract: Contract) -> str:
    """The module that `weft_client.types` re-exports."""
    enums, messages = accepted(contract)
    called = names(contract)
    imports = {"from __future__ import annotations", *STANDARD}
    for message in messages:
        imports |= {import_of(kind.file) for field in message.fields if (kind := field.message_type or field.enum_type)}
    blocks = [_enum(contract, enum, called) for enum in enums]
    blocks += ["\n".join(_message(contract, message, called)) for message in messages]
    everything = "".join(f"    {name!r},\n" for name in sorted(called.values()))
    blocks.append(f"__all__ = [\n{everything}]")
    return module_text("Names of enums and messages as dicts, as arguments accept them.", imports, blocks)


def _enum(contract: Contract, enum: EnumDescriptor, called: Names) -> str:
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    literals = ", ".join(f'"{value.name.removeprefix(prefix)}"' for value in enum.values[1:])
    return f"{called[enum.full_name]} = Literal[{literals}]\n{docstring(contract.comment(enum.full_name), 0)}"


def _message(contract: Contract, message: Descriptor, called: Names) -> Iterator[str]:
    resource = any(output_only(field) for field in message.fields)
    yield f"class {called[message.full_name]}(TypedDict, total=False):"
    yield docstring(contract.comment(message.full_name), 4)
    for field in message.fields:
        kind = of_field(field, called)
        # A resource is also sent in part, in updates.
        yield f"\n    {field.name}: {f'Required[{kind}]' if required(field) and not resource else kind}"
        yield docstring(contract.comment(f"{message.full_name}.{field.name}"), 4)
