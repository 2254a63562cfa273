"""The bounds of every field of a request, so that nothing a caller sends is without one."""

from collections.abc import Iterator

from buf.validate.validate_pb2 import FieldRules
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract import Contract, Method, rules, sizes


def faults(read: Contract) -> list[str]:
    """A sentence for each fault of a request's fields, with what to write; empty where there is none."""
    found: dict[str, None] = {}  # a set that keeps its order: messages are shared
    for method in read.methods:
        request = read.pool.FindMessageTypeByName(method.input)
        sentences = [*_message(request, ()), *_update(method, request)]
        found.update(dict.fromkeys(sentences or _whole(method, read)))
    return list(found)


def _whole(method: Method, read: Contract) -> Iterator[str]:
    size = sizes.largest(method, read)
    if size > sizes.MAX_BODY:
        yield (
            f"{method.full_name}: the bounds of its request add up to {int(size):,} bytes, and no request may have more "
            f"than {sizes.MAX_BODY:,}: lower max_items or max_len."
        )


def _update(method: Method, request: Descriptor) -> Iterator[str]:
    """An update without a mask takes what is present, so what it may take has presence."""
    resource = request.fields_by_name.get(method.route.body) if method.route else None
    if "update_mask" not in request.fields_by_name or resource is None or resource.message_type is None:
        return
    for name in rules.updatable(resource.message_type):
        field = resource.message_type.fields_by_name[name]
        if not (field.has_presence or field.is_repeated):
            yield f"{field.full_name} can be updated and has no presence: write `optional`, or OUTPUT_ONLY."


def _message(message: Descriptor, within: tuple[str, ...]) -> Iterator[str]:
    if message.full_name in within:
        yield f"{message.full_name} contains itself: a request has a bounded depth, so give the inner one a message of its own."
        return
    for field in message.fields:
        yield from _field(field, (*within, message.full_name))


def _field(field: FieldDescriptor, within: tuple[str, ...]) -> Iterator[str]:
    said = sizes.rules(field)
    if field.is_repeated:
        entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
        if sizes.max_items(field) is None:
            rule = "map.max_pairs" if entry else "repeated.max_items"
            yield f"{field.full_name} has no upper bound: write `(buf.validate.field).{rule} = 100`."
        if entry:
            parts = entry.fields_by_name
            yield from _value(parts["key"], field.full_name, said.map.keys, "map.keys.", within)
            yield from _value(parts["value"], field.full_name, said.map.values, "map.values.", within)
            return
        said = said.repeated.items
    yield from _value(field, field.full_name, said, "repeated.items." if field.is_repeated else "", within)
    if said.string.HasField("pattern") and not rules.words_of_pattern(field):
        yield (
            f'{field.full_name} has a pattern and no words for it: write `(weft.api.v1.format) = "eight digits"`, to complete '
            '"must be …" for callers.'
        )


def _value(field: FieldDescriptor, name: str, said: FieldRules, prefix: str, within: tuple[str, ...]) -> Iterator[str]:
    message = field.message_type
    if message and message.full_name in ("google.protobuf.StringValue", "google.protobuf.BytesValue"):
        field, message = message.fields_by_name["value"], None
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        if sizes.max_length(said) is None:
            text = "string" if field.type == FieldDescriptor.TYPE_STRING else "bytes"
            yield f"{name} has no upper bound: write `(buf.validate.field).{prefix}{text}.max_len = 100`."
    elif message and message.full_name in sizes.OPAQUE:
        if sizes.max_bytes(field) is None:
            yield f"{name} has no upper bound: write `(weft.api.v1.max_bytes) = 8192`."
    elif message and not message.full_name.startswith("google.protobuf."):
        yield from _message(message, within)
