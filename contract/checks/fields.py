"""What fields declare: REQUIRED, and what is personal or secret."""

import re
from collections.abc import Iterator

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor
from weft.api.v1 import policy_pb2

from contract import Contract, rules, sensitivity
from contract.checks import messages

_SECRET = re.compile(
    r"(^|_)(password|secret|(?<!postal_)(?<!region_)code)$|^(access|refresh)_token$|^(totp|recovery)_codes?$"
)
_PERSONAL = re.compile(r"(^|_)(email|phone|display_name|given_name|family_name|address)$")
_COMPANIES = ("Partner", "Client", "ClientSettings", "CreatePartnerRequest", "CreateClientRequest")
"""Messages whose names and addresses are a company's."""


def faults(read: Contract) -> Iterator[str]:
    """A sentence for each fault, with what to write."""
    for message in messages.reachable(read, [method.input for method in read.methods]):
        if not message.full_name.startswith("weft.api."):
            for field in message.fields:
                yield from _required(field)
    for message in messages.reachable(
        read, [name for method in read.methods for name in (method.input, method.output)]
    ):
        for field in message.fields:
            yield from _sensitivity(field, message.name in _COMPANIES)


def _required(field: FieldDescriptor) -> Iterator[str]:
    """A field that is left out has its zero value, so the bounds of a REQUIRED one refuse that."""
    raw = field.message_type is not None and field.message_type.full_name == "google.api.HttpBody"
    if raw or "REQUIRED" not in rules.behaviours(field) or rules.untranslated(field):
        return
    if field.has_presence and not rules.rules(field).required:
        yield f"{field.full_name} is REQUIRED and may be left out: write `(buf.validate.field).required = true`."
    elif not field.has_presence and not rules.refuses_zero(field):
        yield (
            f"{field.full_name} is REQUIRED and takes its zero value, which is what a field has that was left out: write a bound "
            "that refuses it, such as `string.min_len = 1`, `repeated.min_items = 1`, `int32.gte = 1` or `enum.not_in = 0`."
        )


def _sensitivity(field: FieldDescriptor, of_company: bool) -> Iterator[str]:
    marked = sensitivity(field)
    secret = _SECRET.search(field.name) and field.enum_type is None  # a name of the contract is no secret
    personal = _PERSONAL.search(field.name) and not of_company
    if secret and marked != policy_pb2.SENSITIVITY_SECRET:
        yield f"{field.full_name} is named like a secret: write `(weft.api.v1.sensitivity) = SENSITIVITY_SECRET`."
    elif not secret and personal and marked != policy_pb2.SENSITIVITY_PERSONAL:
        yield f"{field.full_name} is named like personal data: write `(weft.api.v1.sensitivity) = SENSITIVITY_PERSONAL`."
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    if options.debug_redact != bool(marked):
        remedy = "write `debug_redact = true`" if marked else "write its sensitivity, or drop `debug_redact`"
        yield f"{field.full_name} has a sensitivity or `debug_redact`, and not both: {remedy}."
