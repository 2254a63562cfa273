"""Reads requests and checks them against the contract's bounds, in an order that keeps the work small.

First the bytes are counted, then they are parsed, then what is too long ends the call with one violation. Only a request
of bounded size is walked for everything else, and at most twenty violations are put into words.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache

import protovalidate
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from chassis import error_details, errors
from chassis.rpc.requests import size_limits, wording
from contract import Contract, Method, sizes

_VALIDATOR = protovalidate.Validator()


def message_class(name: str) -> type[Message]:
    """The generated class of a message by its full name; its module must have been imported."""
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


@cache
def reader(method: Method, contract: Contract) -> Callable[[bytes], Message]:
    """Makes the request of a method from its bytes. Fields are named as in the proto; the edge knows how JSON wrote them.

    What it returns raises `BodyTooLarge`, `MessageMalformed` or `RequestInvalid`.
    """
    kind, max_bytes = message_class(method.input), sizes.largest_body(method, contract)
    descriptor = descriptor_pool.Default().FindMessageTypeByName(method.input)
    too_long = size_limits.compiled(descriptor) or (lambda _: None)

    def read(data: bytes) -> Message:
        if len(data) > max_bytes:
            raise errors.BodyTooLarge()
        try:
            request = kind.FromString(data)
        except DecodeError:
            raise errors.MessageMalformed() from None
        found = too_long(request)
        if found is not None:
            raise errors.RequestInvalid(violations=[(_path(found[0][::-1]), found[1])])
        broken = _VALIDATOR.collect_violations(request)
        if broken:
            shown = broken[: error_details.MAX_VIOLATIONS]
            raise errors.RequestInvalid(
                violations=[(_path(_elements(v)), wording.sentence(v, descriptor)) for v in shown],
                left_out=len(broken) - len(shown),
            )
        return request

    return read


def _elements(violation: protovalidate.Violation) -> Iterator[str]:
    for element in violation.proto.field.elements if violation.proto.field else ():
        yield element.field_name
        if element.subscript is not None:
            yield (
                f"[{element.subscript.value}]"
                if element.subscript.field == "index"
                else f'["{element.subscript.value}"]'
            )


def _path(elements: Iterable[str]) -> str:
    """`lines[0].product_id`."""
    return "".join(e if e.startswith("[") else f".{e}" for e in elements).removeprefix(".")
