"""Sources of requests for the load generator: endless, each request different where the workload wants it so."""

import random
from collections.abc import Iterator, Sequence

from weft.order.v1 import order_pb2, order_service_pb2

from bench.load.rpc import Request


def create_order_json(
    host: str, token: str, customers: Sequence[str], products: Sequence[str], seed: int = 0, more: str = ""
) -> Iterator[bytes]:
    """`POST /v1/orders` with two lines, a new key each. `more`: JSON after the last field."""
    chance = random.Random(seed or None)
    head = (
        f"POST /v1/orders HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n"
        "content-type: application/json\r\naccept: application/json\r\nidempotency-key: "
    )
    while True:
        one, two = chance.sample(products, 2)
        body = (
            f'{{"customerId":"{chance.choice(customers)}","lines":[{{"productId":"{one}","quantity":1}},'
            f'{{"productId":"{two}","quantity":2}}],"paymentMethod":"pm_sandbox_ok","note":"as usual"{more}}}'
        )
        yield f"{head}{chance.getrandbits(128):032x}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def get_json(host: str, token: str, paths: Sequence[str], seed: int = 0) -> Iterator[bytes]:
    """`GET` of the paths, at random."""
    chance = random.Random(seed or None)
    tail = f" HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n\r\n"
    ready = [f"GET {path}{tail}".encode() for path in paths]
    while True:
        yield chance.choice(ready)


def mixed_json(
    host: str, token: str, customers: Sequence[str], products: Sequence[str], paths: Sequence[str], reads: float = 0.8
) -> Iterator[bytes]:
    """Reads of the paths and, for the rest, new orders."""
    chance = random.Random()
    creates = create_order_json(host, token, customers, products)
    gets = get_json(host, token, paths)
    while True:
        yield next(gets) if chance.random() < reads else next(creates)


def create_order_message(
    method: str, token: str, customers: Sequence[str], products: Sequence[str], seed: int = 0
) -> Iterator[Request]:
    """`CreateOrder` with two lines, a new key each."""
    chance = random.Random(seed or None)
    bearer = ("authorization", f"Bearer {token}")
    while True:
        one, two = chance.sample(products, 2)
        message = order_service_pb2.CreateOrderRequest(
            customer_id=chance.choice(customers),
            lines=[
                order_pb2.OrderLineInput(product_id=one, quantity=1),
                order_pb2.OrderLineInput(product_id=two, quantity=2),
            ],
            payment_method="pm_sandbox_ok",
            note="as usual",
        )
        yield (bearer, ("idempotency-key", f"{chance.getrandbits(128):032x}")), message.SerializeToString()


def same_message(method: str, token: str, message: str) -> Iterator[Request]:
    """One message, given in hex, over and over; without metadata where the token is empty."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    request = (metadata, bytes.fromhex(message))
    while True:
        yield request
