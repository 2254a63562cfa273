"""The single reader of the contract's options: descriptors in, frozen `Method` values out.

Everything that depends on policy (enforcement, edge, OpenAPI, clients, tests) uses these values; nothing else reads an
option. Source: `protos/weft/api/v1/policy.proto`.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from weft.api.v1 import policy_pb2

from contract import method as methods
from contract import reasons, routes, scopes
from contract.method import Caller, ContractError, Key, Method, RateClass
from contract.reasons import Reason
from contract.routes import Route
from contract.scopes import Scope

__all__ = [
    "Caller",
    "Contract",
    "ContractError",
    "Key",
    "Method",
    "RateClass",
    "Reason",
    "Route",
    "Scope",
    "load",
    "sensitivity",
]

EVERY_SERVICE = "*"
"""Alone among the `internal_callers` of a method."""
DESCRIPTORS = Path(__file__).resolve().parents[1] / "gen" / "descriptors.binpb"
"""The descriptor set that `make gen` writes, with comments and everything imported."""
SERVED = DESCRIPTORS.with_name("contract.binpb")
"""The same without comments, a quarter of its size: for what runs."""


class Contract:
    """All methods, reasons, scopes and plans of a descriptor set, with the descriptors and comments for those who generate."""

    def __init__(self, descriptors: descriptor_pb2.FileDescriptorSet, *, tolerant: bool = False) -> None:
        """Raises `ContractError` with a line for each fault; if `tolerant`, they are in `faults`, and what is valid is read."""
        self.pool = descriptor_pool.DescriptorPool()
        for file in descriptors.file:
            self.pool.Add(file)  # pyright: ignore[reportDeprecated]
        self._files = [f for f in descriptors.file if f.package.startswith("weft.") or f.service]
        self._comments = _comments(self._files)
        self.faults: list[str] = []
        self.reasons = {(r.domain, r.name): r for r in self._read_reasons()}
        self._scopes = scopes.read(self.pool)
        self.scopes = {scope.name: scope for scope in self._scopes.values()}
        self.scopes_by_role = scopes.by_role(self._scopes)
        self.faults += scopes.faults(self._scopes)
        self.methods = tuple(self._read_methods())
        if self.faults and not tolerant:
            raise ContractError("\n".join(self.faults))
        self.by_path = {method.path: method for method in self.methods}

    def scopes_of_member(self, role: str, granted: Collection[str]) -> tuple[str, ...]:
        """The scopes of one of a partner's people. `granted`: those of the partner."""
        return scopes.of_member(self._scopes, role, granted)

    def accepted_scopes(self, scope: str) -> frozenset[str]:
        """The scopes of which a token needs one for what `scope` allows: itself, and those that include it."""
        return scopes.accepted(self._scopes, scope)

    def comment(self, full_name: str) -> str:
        """The leading comment of anything with a full name; empty where it has none."""
        return self._comments.get(full_name, "")

    def place(self, full_name: str) -> str:
        """File and line of anything with a full name, such as `protos/weft/order/v1/order.proto:12`; empty where there is none."""
        return self._places.get(full_name, "")

    @cached_property
    def _places(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in self._files:
            for location in file.source_code_info.location:
                if len(location.path) % 2 == 0 and (name := _named(file, list(location.path))):
                    found.setdefault(name, f"protos/{file.name}:{location.span[0] + 1}")
        return found

    @property
    def services(self) -> tuple[ServiceDescriptor, ...]:
        """Every service, in the order of the files."""
        return tuple(
            self.pool.FindServiceByName(f"{file.package}.{service.name}")
            for file in self._files
            for service in file.service
        )

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that have services, such as `weft.order.v1`, sorted."""
        return tuple(sorted({method.package for method in self.methods}))

    def of_service(self, service: str) -> tuple[Method, ...]:
        """The methods of a service by its full name, in the proto's order."""
        return tuple(method for method in self.methods if method.service == service)

    @cached_property
    def plans(self) -> dict[str, dict[RateClass, int]]:
        """Requests a second by plan (`standard`) and rate class."""
        plan = self.pool.FindEnumTypeByName("weft.api.v1.Plan")
        found: dict[str, dict[RateClass, int]] = {}
        for value in plan.values:
            options = descriptor_pb2.EnumValueOptions.FromString(value.GetOptions().SerializeToString())
            limits = options.Extensions[policy_pb2.limits]
            if options.HasExtension(policy_pb2.limits):
                name = value.name.removeprefix("PLAN_").lower()
                found[name] = {RateClass.READ: limits.reads_per_second, RateClass.WRITE: limits.writes_per_second}
        return found

    def _read_reasons(self) -> Iterator[Reason]:
        for file in self._files:
            for declared in file.enum_type:
                if declared.name == "ErrorReason":
                    enum = self.pool.FindEnumTypeByName(f"{file.package}.{declared.name}")
                    for reason in reasons.read(enum, self.comment):
                        self.faults += reasons.faults(reason)
                        yield reason

    def _read_methods(self) -> Iterator[Method]:
        for service in self.services:
            service_options = descriptor_pb2.ServiceOptions.FromString(service.GetOptions().SerializeToString())
            for method in service.methods:
                found = self._read_method(method, service_options.Extensions[policy_pb2.service])
                if found is not None:
                    yield found

    def _read_method(self, method: MethodDescriptor, defaults: policy_pb2.MethodPolicy) -> Method | None:
        options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
        if not options.HasExtension(policy_pb2.method):
            self.faults.append(
                f"{method.full_name} has no policy: add `option (weft.api.v1.method) = {{...}};` with its callers, scope, "
                "rate and errors (protos/weft/api/v1/policy.proto explains each)."
            )
            return None
        own = options.Extensions[policy_pb2.method]
        policy = policy_pb2.MethodPolicy()
        policy.CopyFrom(defaults)
        for field, _ in own.ListFields():
            policy.ClearField(field.name)  # type: ignore[arg-type]
        policy.MergeFrom(own)
        level = options.idempotency_level
        read_only = level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
        # A scope is held by a token: where nobody needs one, a service's default does not apply.
        tokenless = set(policy.callers) <= {policy_pb2.CALLER_PUBLIC, policy_pb2.CALLER_INTERNAL}
        scope = None if tokenless else self._scopes.get(policy.scope)
        found = Method(
            service=method.containing_service.full_name,
            name=method.name,
            input=method.input_type.full_name,
            output=method.output_type.full_name,
            client_streaming=method.client_streaming,
            server_streaming=method.server_streaming,
            route=routes.read(method),
            callers=frozenset(Caller(c) for c in policy.callers if c != policy_pb2.CALLER_UNSPECIFIED),
            internal_callers=self._internal_callers(method, policy.internal_callers),
            scope=scope.name if scope is not None else "",
            owner=policy.owner,
            rate=RateClass.NONE if set(policy.callers) == {policy_pb2.CALLER_INTERNAL} else RateClass(policy.rate),
            deadline=policy.deadline.seconds + policy.deadline.nanos / 1e9,
            repeatable=level != descriptor_pb2.MethodOptions.IDEMPOTENCY_UNKNOWN,
            read_only=read_only,
            key=Key(policy.key),
            keyless_because=policy.keyless_because,
            success=policy.success or 200,
            location=routes.location(method, self.services) if policy.success == 201 else "",
            errors=tuple(self._declared(method, policy.errors)),
            audit=tuple(policy.audit),
            unaudited_because=policy.unaudited_because,
            cookie=policy.cookie,
            apps=policy.apps if policy.HasField("apps") else scope is not None,
            revoked_tokens=policy.revoked_tokens,
            comment=self.comment(method.full_name),
        )
        self.faults += methods.faults(found, method.input_type)
        if scope is not None:
            self.faults += scopes.faults_of_method(found, scope)
        return found

    def _internal_callers(self, method: MethodDescriptor, names: Iterable[str]) -> frozenset[str]:
        services = {file.package.split(".")[1] for file in self._files if file.service}
        if list(names) == [EVERY_SERVICE]:
            return frozenset(services)
        self.faults += [
            f"{method.full_name} names the internal caller {name!r}, which is no service: "
            f"write one of {', '.join(sorted(services))}."
            for name in names
            if name not in services
        ]
        return frozenset(names)

    def _declared(self, method: MethodDescriptor, names: Iterable[str]) -> Iterator[Reason]:
        domain = method.containing_service.file.package
        for name in names:
            if (domain, name) in self.reasons:
                yield self.reasons[domain, name]
            else:
                self.faults.append(
                    f"{method.full_name} declares {name}, which {domain}.ErrorReason does not have: add it there."
                )


@cache
def load(path: Path = DESCRIPTORS) -> Contract:
    """The contract of a descriptor set file; read once in a process."""
    return Contract(descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()))


def sensitivity(field: FieldDescriptor) -> int:
    """A field's `Sensitivity`: personal, secret, or 0."""
    options = descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())
    return options.Extensions[policy_pb2.sensitivity]


def _comments(files: list[descriptor_pb2.FileDescriptorProto]) -> dict[str, str]:
    """Leading comments by full name, without the one space behind the slashes and without directives to buf."""
    found: dict[str, str] = {}
    for file in files:
        for location in file.source_code_info.location:
            if location.leading_comments:
                name = _named(file, list(location.path))
                text = re.sub(r"(?m)^ *buf:lint:.*\n?", "", location.leading_comments)
                found[name] = re.sub(r"(?m)^ ", "", text).strip()
    return found


def _named(file: descriptor_pb2.FileDescriptorProto, path: list[int]) -> str:
    """The full name of what a source location's path points at (descriptor.proto, SourceCodeInfo.Location.path)."""
    parts, node = [file.package], file
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = node.DESCRIPTOR.fields_by_number.get(number)
        if field is None or not field.is_repeated or not field.message_type:
            return ""
        node = getattr(node, field.name)[index]
        if not hasattr(node, "name"):
            return ""
        parts.append(node.name)
    return ".".join(parts)
