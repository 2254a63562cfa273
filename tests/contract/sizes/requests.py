"""Requests made up from the contract: the largest that its bounds allow, and ones that break them in each way."""

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

import contract
from chassis.rpc.requests import validation
from codegen.openapi.examples import Samples
from contract import Method, sizes

CONTRACT = contract.load()
SAMPLES = Samples(CONTRACT)
for _service in CONTRACT.services:
    import_module(_service.file.name.removesuffix(".proto").replace("/", ".") + "_pb2")

Steps = tuple[FieldDescriptor, ...]
WIDE = "😀"  # four bytes of UTF-8, one character


def empty(method: Method) -> Message:
    """A request of a method without anything in it."""
    return validation.message_class(method.input)()


def filled(message: Message, each: int | None = None) -> Message:
    """Fill every field to its bound: as many entries and characters as it may have, or `each`, whatever its rules say."""
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and field.containing_oneof.fields[0] is not field:
            continue
        count = each or sizes.max_items(field) or 1
        if field.is_repeated:
            entries = getattr(message, field.name)
            if is_map(field):
                said = sizes.rules(field).map
                for number in range(count):
                    key = str(number).rjust(each or sizes.max_length(said.keys) or 0, "k")
                    entries[key] = WIDE * (each or sizes.max_length(said.values) or 0)
            elif field.message_type is not None:
                for _ in range(count):
                    _fill(field, entries.add(), each)
            else:
                entries.extend([_scalar(field, each)] * count)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill(field, getattr(message, field.name), each)
        else:
            setattr(message, field.name, _scalar(field, each))
    return message


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map; ours are of texts."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _fill(field: FieldDescriptor, message: Any, each: int | None) -> None:
    kind = message.DESCRIPTOR.full_name
    if kind == "google.api.HttpBody":
        message.data = b"&" * ((each or sizes.max_bytes(field) or 0) - 8)
    elif kind == "google.protobuf.Any":
        message.value = b"v" * ((each or sizes.max_bytes(field) or 0) - 8)
    elif kind == "google.protobuf.FieldMask":
        message.paths.extend(["p" * sizes.MASK_PATH_LENGTH] * (each or sizes.MASK_PATHS))
    elif kind.startswith("google.protobuf."):
        message.SetInParent()
    else:
        filled(message, each)


def _scalar(field: FieldDescriptor, each: int | None) -> Any:
    said = sizes.rules(field).repeated.items if field.is_repeated else sizes.rules(field)
    length = each or sizes.max_length(said) or 0
    if field.type == FieldDescriptor.TYPE_STRING:
        return WIDE * length
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"b" * length
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return 1.5
    return True if field.type == FieldDescriptor.TYPE_BOOL else 1


def hostile(method: Method) -> Iterator[tuple[str, bytes]]:
    """Requests as large as the server parses them, each bad in a way of its own: a name, and the bytes."""
    most = sizes.largest_body(method, CONTRACT)
    message = validation.message_class(method.input).DESCRIPTOR
    yield "every field at its bound", filled(empty(method)).SerializeToString()
    yield "unknown fields", _repeated(b"\xf8\x7f\x01", most)
    yield "unknown groups, deeply nested", b"\xfb\x7f" * (most // 2)
    yield "no protobuf", b"\xff" * most
    for field in message.fields:
        tag = field.number << 3 | 2
        if tag > 127:
            continue
        key = bytes([tag])
        if field.is_repeated or field.message_type is not None:
            yield f"{field.name}: empty entries", _repeated(key + b"\x00", most)
        if field.type == FieldDescriptor.TYPE_STRING:
            yield f"{field.name}: one text", key + _varint(most - 8) + b"a" * (most - 8)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inner = _repeated(b"\x0a\x00", most - 8)
            yield f"{field.name}: filled with empty entries", key + _varint(len(inner)) + inner
            yield f"{field.name}: nested deeply", _nested(key, most)
    yield "the bound's entries, each of them bad", _bad(method)


def _bad(method: Method) -> bytes:
    """As many entries as each list may have, all of them empty messages or texts."""
    request = empty(method)
    for field in request.DESCRIPTOR.fields:
        if field.is_repeated:
            for number in range(sizes.max_items(field) or 0):
                entries = getattr(request, field.name)
                if is_map(field):
                    entries[" " * number] = ""
                    continue
                entries.add() if field.message_type is not None else entries.append(_bad_scalar(field))
    return request.SerializeToString()


def _bad_scalar(field: FieldDescriptor) -> Any:
    return "" if field.type == FieldDescriptor.TYPE_STRING else 99


def _repeated(part: bytes, most: int) -> bytes:
    return part * (most // len(part))


def _nested(key: bytes, most: int) -> bytes:
    data = b""
    while len(data) + 8 < min(most, 2_000):
        data = key + _varint(len(data)) + data
    return data


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def fields(message: Descriptor, kinds: Collection[str | int], within: tuple[str, ...] = ()) -> Iterator[Steps]:
    """The ways to every field of a request's type, at any depth, whose type or message is one of these."""
    if message.full_name in within:
        return
    for field in message.fields:
        kind = field.message_type.full_name if field.message_type is not None else field.type
        if kind in kinds:
            yield (field,)
        elif field.message_type is not None and field.message_type.full_name.startswith("weft."):
            for steps in fields(field.message_type, kinds, (*within, message.full_name)):
                yield field, *steps


def put(message: Any, steps: Steps, value: Any) -> str:
    """Set the field that the steps lead to, in the first entry of each list; the field's path."""
    path = []
    for field in steps:
        if is_map(field):
            key, text = (value, "") if steps[-1].name == "key" else ("a", value)
            getattr(message, field.name)[key] = text
            return ".".join([*path, f'{field.name}["{key}"]'])
        path.append(field.name + ("[0]" if field.is_repeated else ""))
        last = field is steps[-1]
        if field.is_repeated and field.message_type is None:
            getattr(message, field.name).append(value)
        elif field.message_type is None:
            setattr(message, field.name, value)
        else:
            message = getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name)
            message.SetInParent()
            if last:
                message.CopyFrom(value)
    return ".".join(path)


def valid(method: Method) -> Message:
    """A request that the contract takes, with lists and free texts as long as they may be, and without opaque tokens."""
    request = empty(method)
    json_format.ParseDict(SAMPLES.message(request.DESCRIPTOR, request=True), request, ignore_unknown_fields=True)
    return _stretched(request)


def _stretched(message: Any) -> Any:
    for field, value in message.ListFields():
        said = sizes.rules(field)
        if field.name in ("page_token", "cursor"):
            message.ClearField(field.name)
        elif is_map(field):
            value.update({f"n{number}": WIDE * said.map.values.string.max_len for number in range(said.map.max_pairs)})
            while len(value) > said.map.max_pairs:
                value.pop(next(iter(value)))
        elif field.is_repeated:
            if not said.repeated.unique:
                value.extend([value[0]] * ((sizes.max_items(field) or 1) - len(value)))
        elif field.message_type is not None and field.message_type.full_name.startswith("weft."):
            _stretched(value)
        elif (
            field.type == FieldDescriptor.TYPE_STRING and not said.string.HasField("pattern") and not said.string.email
        ):
            setattr(message, field.name, WIDE * (said.string.max_len or said.string.len))
    return message
