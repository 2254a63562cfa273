"""What a client knows about an RPC. The values are generated from the contract."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Reply]):
    """An RPC: `path` is the gRPC path, `service` the short name (`order`), `deadline` in seconds.

    `repeatable`: safe to send again as it is. `keyed`: takes an idempotency key, which makes it so. `open`: sent
    without a token. `errors`: the reasons of its own package, each with its package.
    """

    path: str
    service: str
    request: type[Request]
    reply: type[Reply]
    deadline: float
    repeatable: bool = False
    keyed: bool = False
    open: bool = False
    streaming: bool = False
    errors: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`weft.order.v1.OrderService/CreateOrder`, as spans are named."""
        return self.path[1:]
