"""What a field allows, in words for its callers: the sentence of a violation, without a regular expression in it."""

import protovalidate
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract import sizes
from contract.rules import items, words_of_pattern


def length(field: FieldDescriptor, said: validate_pb2.FieldRules) -> str:
    """The sentence for a text that is too long."""
    most, written = sizes.max_length(said), said.string.HasField("max_len") or said.string.HasField("len")
    in_words = "" if written else words_of_pattern(field)
    return f"must be {in_words}" if in_words else f"must be at most {most} characters"


def sentence(violation: protovalidate.Violation, request: Descriptor) -> str:
    """The sentence for a violation of a request's rules."""
    rule, text = violation.proto.rule_id, violation.proto.message
    kind = rule.partition(".")[0]
    if rule == "string.pattern" or kind == "enum":
        field = _found(violation, request)
        if field is None:
            return text
        if field.enum_type is not None:
            return f"must be one of {', '.join(names(field))}"
        said = words_of_pattern(field)
        return f"must be {said}" if said else text
    return _PLAIN.get(rule, text)


def names(field: FieldDescriptor) -> list[str]:
    """The names of an enum's values that a field allows, without the unspecified one."""
    assert field.enum_type is not None
    said = items(field).enum
    taken, refused = set(getattr(said, "in")), set(said.not_in)
    return [
        value.name
        for value in field.enum_type.values
        if value.number not in refused
        and (not taken or value.number in taken)
        and not value.name.endswith("_UNSPECIFIED")
    ]


def _found(violation: protovalidate.Violation, request: Descriptor) -> FieldDescriptor | None:
    """The field that a violation is about."""
    message: Descriptor | None = request
    field = None
    for element in violation.proto.field.elements if violation.proto.field else ():
        field = message.fields_by_name.get(element.field_name) if message else None
        if field is None:
            return None
        message = field.message_type
    return field


_PLAIN = {
    "required": "must be given",
    "string.email_empty": "must be a valid email address",
    "repeated.unique": "must not have an item twice",
    "int32.not_in": "must not be 0",
    "int64.not_in": "must not be 0",
}
