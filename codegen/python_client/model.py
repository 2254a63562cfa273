"""The contract as a client sees it: services with their attributes, methods with how they are called."""

from collections import Counter
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor

from codegen.python_client.source import plural, snake
from contract import Contract, ContractError, Key, Method


@dataclass(frozen=True)
class Rpc:
    """A method with its descriptors."""

    method: Method
    request: Descriptor
    reply: Descriptor
    package: str = ""
    """Where several packages have a service of this name."""

    @property
    def name(self) -> str:
        """`create_order`."""
        return snake(self.method.name)

    @property
    def constant(self) -> str:
        """`ORDER_SERVICE_CREATE_ORDER`, the name of its `Method`."""
        service = self.method.service.rpartition(".")[2]
        return "_".join(part for part in (self.package, snake(service), self.name) if part).upper()

    @property
    def keyed(self) -> bool:
        """Whether the client sends an idempotency key."""
        return self.method.key in (Key.REQUIRED, Key.ACCEPTED)

    @property
    def empty(self) -> bool:
        """Whether the reply says nothing."""
        return self.reply.full_name == "google.protobuf.Empty"

    @property
    def items(self) -> FieldDescriptor | None:
        """The repeated field of a paged reply, where the call pages (AIP-158)."""
        if not {"page_size", "page_token"} <= set(self.request.fields_by_name):
            return None
        lists = [field for field in self.reply.fields if field.is_repeated]
        return lists[0] if "next_page_token" in self.reply.fields_by_name and len(lists) == 1 else None

    @property
    def resumes(self) -> bool:
        """Whether a stream goes on from a cursor: both sides have the field."""
        return "cursor" in self.request.fields_by_name and "cursor" in self.reply.fields_by_name


@dataclass(frozen=True)
class Service:
    """A service as an attribute of the client."""

    descriptor: ServiceDescriptor
    attribute: str
    rpcs: tuple[Rpc, ...]
    comment: str

    @property
    def package(self) -> str:
        """`order`, of `weft.order.v1`."""
        return short(self.descriptor.file.package)

    @property
    def stem(self) -> str:
        """`Orders`: the blocking class; the asyncio one is `AsyncOrders`, the services' own `InternalOrders`."""
        return "".join(word.capitalize() for word in self.attribute.split("_"))


def short(package: str) -> str:
    """`weft.order.v1` → `order`."""
    return package.split(".")[1]


def services(contract: Contract, *, internal: bool) -> list[Service]:
    """The services that have RPCs for outside callers, or with `internal` those that have internal ones, with just these.

    What every package has under one name, such as QueueService, is prefixed with its package: `order_queues`. Raises
    `ContractError` where two would have one attribute all the same.
    """
    found: dict[str, Service] = {}
    names = Counter(descriptor.name for descriptor in contract.services)
    for descriptor in contract.services:
        attribute = _attribute(contract, descriptor)
        package = short(descriptor.file.package) if names[descriptor.name] > 1 else ""
        if package:
            attribute = f"{package}_{attribute}"
        rpcs = tuple(
            _rpc(contract, m, package) for m in contract.of_service(descriptor.full_name) if m.internal == internal
        )
        if attribute in found:
            raise ContractError(
                f"{descriptor.full_name} and {found[attribute].descriptor.full_name} would both be `{attribute}` in the "
                "clients: name one of them otherwise."
            )
        if rpcs:
            found[attribute] = Service(descriptor, attribute, rpcs, contract.comment(descriptor.full_name))
    return sorted(found.values(), key=lambda service: service.descriptor.full_name)


def _rpc(contract: Contract, method: Method, package: str) -> Rpc:
    find = contract.pool.FindMessageTypeByName
    return Rpc(method, find(method.input), find(method.output), package)


def _attribute(contract: Contract, descriptor: ServiceDescriptor) -> str:
    """`users` for UserService, but `auth` for AuthService: plural where a route or an RPC speaks of several."""
    noun = descriptor.name.removesuffix("Service")
    several = plural(noun)
    for method in contract.of_service(descriptor.full_name):
        segments = method.route.path.split("/") if method.route else []
        if method.name.endswith(several) or several.lower() in [segment.split(":")[0].lower() for segment in segments]:
            return snake(several)
    return snake(noun)
