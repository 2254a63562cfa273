"""The ids of the resources that a call is about, as attributes of its span: `weft.order_id` and the like.

From the contract: the fields that the route or the owner names, and every other field called `…_id`. A value is taken
only if it has the form of an id, so that no other input of a caller gets into a trace.
"""

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract import Contract, Method

_ID = re.compile(r"[a-z]{2,8}_[0-9a-hjkmnp-tv-z]{26}")
Read = Callable[[Any], dict[str, str]]


def of_request(contract: Contract, method: Method) -> Read:
    """Reads the ids in requests of a method; a stream of requests has none."""
    if method.client_streaming:
        return lambda _: {}
    named = {
        path for path in (method.owner, *(method.route.variables if method.route else ())) if path not in ("", "*")
    }
    return _reader(contract.pool.FindMessageTypeByName(method.input), named)


def of_reply(contract: Contract, method: Method) -> Read:
    """Reads the ids in replies of a method."""
    return _reader(contract.pool.FindMessageTypeByName(method.output), set())


def _reader(message: Descriptor, named: set[str]) -> Read:
    own = {field.name for field in message.fields if field.name.endswith("_id") and _is_text(field)}
    paths = [(f"weft.{path.rpartition('.')[2]}", attrgetter(path)) for path in sorted(own | named)]

    def read(found: Any) -> dict[str, str]:
        ids = {}
        for name, get in paths:
            value = get(found)
            if isinstance(value, str) and _ID.fullmatch(value):
                ids[name] = value
        return ids

    return read


def _is_text(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
