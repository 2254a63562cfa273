"""The HTTP side of an RPC: `google.api.http`, and the path of the resource that a call creates."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor


@dataclass(frozen=True)
class Route:
    """The HTTP side of a method, as in `google.api.http`: `body` is a field's name, `*` or empty."""

    verb: str
    path: str
    body: str

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The field paths in the template: `/v1/users/{user.user_id}` → `("user.user_id",)`."""
        return tuple(re.findall(r"{([^}=]+)", self.path))


def read(method: MethodDescriptor) -> Route | None:
    """The method's route; None where it has none."""
    options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
    if not options.HasExtension(annotations_pb2.http):
        return None
    rule = options.Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern") or ""
    return Route(verb.upper(), getattr(rule, verb), rule.body)


def location(method: MethodDescriptor, services: Iterable[ServiceDescriptor]) -> str:
    """The path template of the resource that `method` returns: that of the GET which returns the same message.

    The GET is one of the same service, or else of the same package; its path names the resource by fields that the message
    has. Empty where there is no such GET.
    """
    own = method.containing_service
    near = [own, *(other for other in services if other is not own and other.file.package == own.file.package)]
    for candidate in (candidate for service in near for candidate in service.methods):
        route = read(candidate)
        if route is None or route.verb != "GET" or candidate.output_type is not method.output_type:
            continue
        if route.variables and set(route.variables) <= set(method.output_type.fields_by_name):
            return route.path
    return ""
