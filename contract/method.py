"""What an RPC is: its policy as frozen values, and which policies are invalid."""

from dataclasses import dataclass
from enum import Enum

from google.protobuf.descriptor import Descriptor
from weft.api.v1 import policy_pb2

from contract.reasons import Reason
from contract.routes import Route


class ContractError(Exception):
    """The contract is invalid; the message says what to write instead, one fault a line."""


class Caller(Enum):
    """Who calls."""

    PUBLIC = policy_pb2.CALLER_PUBLIC
    USER = policy_pb2.CALLER_USER
    PARTNER = policy_pb2.CALLER_PARTNER
    OPERATOR = policy_pb2.CALLER_OPERATOR
    INTERNAL = policy_pb2.CALLER_INTERNAL
    MEMBER = policy_pb2.CALLER_MEMBER


class Key(Enum):
    """Whether a call takes an idempotency key; REPEATABLE calls need none."""

    REPEATABLE = policy_pb2.IDEMPOTENCY_KEY_UNSPECIFIED
    REQUIRED = policy_pb2.IDEMPOTENCY_KEY_REQUIRED
    ACCEPTED = policy_pb2.IDEMPOTENCY_KEY_ACCEPTED
    NONE = policy_pb2.IDEMPOTENCY_KEY_NONE


class RateClass(Enum):
    """Which limit a call is counted against; None: not at all."""

    NONE = policy_pb2.RATE_CLASS_UNSPECIFIED
    READ = policy_pb2.RATE_CLASS_READ
    WRITE = policy_pb2.RATE_CLASS_WRITE
    SIGN_IN = policy_pb2.RATE_CLASS_SIGN_IN
    SIGN_UP = policy_pb2.RATE_CLASS_SIGN_UP


@dataclass(frozen=True)
class Method:
    """What an RPC is.

    `path` is the gRPC path, `scope` is as tokens write it, `deadline` is in seconds, `errors` are the reasons of its own
    package, `audit` the actions that it may write to the audit trail. `location` is the
    path template of the resource that a success with 201 creates; otherwise empty. `cookie`: whether cookies reach it.
    """

    service: str
    name: str
    input: str
    output: str
    client_streaming: bool
    server_streaming: bool
    route: Route | None
    callers: frozenset[Caller]
    internal_callers: frozenset[str]
    scope: str
    owner: str
    rate: RateClass
    deadline: float
    repeatable: bool
    read_only: bool
    key: Key
    keyless_because: str
    success: int
    location: str
    errors: tuple[Reason, ...]
    audit: tuple[str, ...]
    unaudited_because: str
    cookie: bool
    apps: bool
    revoked_tokens: bool
    comment: str

    @property
    def path(self) -> str:
        """`/weft.order.v1.OrderService/CreateOrder`."""
        return f"/{self.service}/{self.name}"

    @property
    def full_name(self) -> str:
        """`weft.order.v1.OrderService.CreateOrder`."""
        return f"{self.service}.{self.name}"

    @property
    def package(self) -> str:
        """`weft.order.v1`."""
        return self.service.rpartition(".")[0]

    @property
    def internal(self) -> bool:
        """Whether only other services may call, which keeps the method off the edge."""
        return self.callers == {Caller.INTERNAL}

    @property
    def public(self) -> bool:
        """Whether no token is asked for."""
        return Caller.PUBLIC in self.callers


def faults(method: Method, request: Descriptor) -> list[str]:
    """A sentence for each thing that is invalid in a policy, with what to write instead."""
    rules = (_callers(method), _repetition(method), _answer(method), _route(method, request))
    return [f"{method.full_name} {sentence}." for part in rules for sentence, broken in part.items() if broken]


def _callers(method: Method) -> dict[str, bool]:
    tokens = method.callers - {Caller.PUBLIC, Caller.INTERNAL}
    several = len(method.callers) > 1
    return {
        "has no callers: list them under `callers`": not method.callers,
        "mixes CALLER_PUBLIC with others: public means that no token is asked for": method.public and several,
        "mixes CALLER_INTERNAL with others: services are known by certificate alone, so give them an RPC of their own": (
            Caller.INTERNAL in method.callers and several
        ),
        "is internal and names no service: list those that may call under `internal_callers`": (
            method.internal and not method.internal_callers
        ),
        "names internal callers and is not internal: drop `internal_callers`": (
            bool(method.internal_callers) and not method.internal
        ),
        "needs a scope: its callers have tokens, so write `scope: SCOPE_ORDERS_READ` or another": bool(
            tokens - {Caller.USER, Caller.MEMBER}
        )
        and not method.scope,
        "is public and has an owner: drop `owner`, as nobody is known": method.public and bool(method.owner),
        "has no deadline: write `deadline: {seconds: 5}` here or for the service": method.deadline <= 0,
        "can be called from outside and has no rate class: write `rate: RATE_CLASS_READ` or another": (
            not method.internal and method.rate is RateClass.NONE
        ),
        "declares a reason twice: once is enough": len(set(method.errors)) < len(method.errors),
    }


def _repetition(method: Method) -> dict[str, bool]:
    keyed = method.key in (Key.REQUIRED, Key.ACCEPTED)
    none = method.key is Key.NONE
    return {
        "is repeatable and takes a key: drop `key` or `idempotency_level`": method.repeatable and keyed,
        "is repeatable and says why it takes no key: drop `key` and `keyless_because`": method.repeatable and none,
        "is a mutation that is neither IDEMPOTENT nor keyed: write `key: IDEMPOTENCY_KEY_REQUIRED`, or IDEMPOTENCY_KEY_NONE "
        "with `keyless_because`": not method.repeatable and method.key is Key.REPEATABLE,
        "takes no key and does not say why: write `keyless_because`": none and not method.keyless_because,
        "says why it takes no key, but takes one: drop `keyless_because`": not none and bool(method.keyless_because),
        "streams and takes a key, but a stream cannot be replayed: drop `key`": (
            keyed and (method.server_streaming or method.client_streaming)
        ),
    }


def _answer(method: Method) -> dict[str, bool]:
    empty = method.output == "google.protobuf.Empty"
    return {
        "succeeds with an unknown status: 200, 201, 202 or 204": method.success not in (200, 201, 202, 204),
        f"succeeds with 201, and no GET of {method.package} that names its resource in its path returns {method.output}, so "
        "that no `location` can be sent: add one, or drop `success`": method.success == 201 and not method.location,
        "is a GET and succeeds with 201, though it creates nothing: drop `success`": (
            method.success == 201 and method.route is not None and method.route.verb == "GET"
        ),
        "answers 204 with a body: return google.protobuf.Empty": method.success == 204 and not empty,
        "answers nothing with 200: write `success: 204`, or 202 where the work goes on": (
            method.success in (200, 201) and empty and method.route is not None
        ),
    }


def _route(method: Method, request: Descriptor) -> dict[str, bool]:
    route, name = method.route, request.name
    if route is None:
        return {"has callers outside and no route: add google.api.http": not method.internal}
    owner = () if method.owner in ("", "*") else (method.owner,)
    missing = [path for path in (*route.variables, *owner) if not _has(request, path)]
    return {
        "is internal and has a route: the edge never serves it, so drop google.api.http": method.internal,
        f"names {', '.join(missing)}, which {name} does not have: correct the route or `owner`": bool(missing),
        f"has the body {route.body!r}, which {name} does not have: write `*` or a field": (
            route.body not in ("", "*") and not _has(request, route.body)
        ),
        f"is a {route.verb} with a body: drop `body`": route.verb in ("GET", "DELETE") and bool(route.body),
        f'is a {route.verb} without a body: write `body: "*"`, or the field that is the resource': (
            route.verb in ("POST", "PATCH", "PUT") and not route.body
        ),
        "is a GET with side effects: say `idempotency_level = NO_SIDE_EFFECTS`": route.verb == "GET"
        and not method.read_only,
        "streams requests over REST, which JSON cannot: drop google.api.http": method.client_streaming,
    }


def _has(message: Descriptor, path: str) -> bool:
    """Whether a field path such as `user.user_id` leads somewhere."""
    first, _, rest = path.partition(".")
    field = message.fields_by_name.get(first)
    if field is None or not rest:
        return field is not None
    return field.message_type is not None and _has(field.message_type, rest)
