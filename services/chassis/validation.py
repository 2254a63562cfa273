"""Checks requests against the contract's bounds: every violation at once, fields named as the caller wrote them."""

import re
from collections.abc import Iterator

import protovalidate
from google.protobuf.message import Message

from services.chassis import errors
from services.chassis.contract import Method

_VALIDATOR = protovalidate.Validator()


def check(request: Message, method: Method, rest: bool) -> None:
    """Raise `RequestInvalid` where the request breaks a bound. `rest`: the caller wrote JSON, so name fields as it does."""
    found = _VALIDATOR.collect_violations(request)
    if found:
        named = [(".".join(_elements(violation)), violation.proto.message) for violation in found]
        raise errors.RequestInvalid(violations=[(_as_json(f, method) if rest else f, text) for f, text in named])


def _elements(violation: protovalidate.Violation) -> Iterator[str]:
    for element in violation.proto.field.elements if violation.proto.field else ():
        subscript = element.subscript
        if subscript is None:
            yield element.field_name
        else:
            index = subscript.value if subscript.field == "index" else f'"{subscript.value}"'
            yield f"{element.field_name}[{index}]"


def _as_json(path: str, method: Method) -> str:
    """`product.unit_price` of a body that is the product → `unitPrice`."""
    body = method.route.body if method.route else ""
    if body not in ("", "*"):
        path = path.removeprefix(f"{body}.")
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), path)
