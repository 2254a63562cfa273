"""Orders: created, read, listed and mixed, over REST and over gRPC."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import httpx

from bench.bench import Bench
from bench.measurements.rows import Comparison, Row, Side
from bench.stacks import peers
from bench.stacks.peers import Peer
from bench.stacks.weft import Weft
from bench.workloads.chain import echo

PEER_A, PEER_B, PROXIED = "peer (a)", "peer (b)", "peer (a) behind Envoy"
A, B, C = peers.KINDS
METHOD = "/weft.order.v1.OrderService/CreateOrder"
READABLE = 500
"""Orders that are read again and again."""


def create(bench: Bench) -> Iterator[Row]:
    """`POST /v1/orders`, 64 concurrently: the ceiling."""
    mesh = bench.weft
    sides = [creating(bench, "weft", mesh.edges, mesh)]
    for name, peer in ((PROXIED, bench.proxied_peer(A)), (PEER_A, bench.peer(A))):
        sides.append(creating(bench, name, peer.targets, peer))
    comparisons = [
        Comparison("orders/s, Weft over peer (a)", "weft", PEER_A, "rate", at_least=8),
        Comparison("CPU per order, peer (a) over Weft", PEER_A, "weft", "cpu", at_least=4),
        Comparison("orders/s, Weft over peer (a) behind an Envoy", "weft", PROXIED, "rate", at_least=4),
        Comparison("CPU per order, peer (a) behind an Envoy over Weft", PROXIED, "weft", "cpu", at_least=4),
    ]
    note = "Weft: client → Envoy (TLS to the service, strict JSON, token, limits) → order. Peer: client → uvicorn, or → Envoy → uvicorn."
    yield bench.compare(Row("create", "REST create order", note, comparisons=comparisons), sides)


def creating(bench: Bench, name: str, targets: list[str], who: Weft | Peer, **more: float) -> Side:
    """The side that creates orders at the targets."""
    arguments = {"host": "localhost", "token": who.token, "customers": who.customers, "products": who.products}
    return Side(name, bench.plan("http", targets, "create_order_json", arguments, expected="201", **more), who.groups)


ADDRESS = (
    ',"shippingAddress":{"recipient":"Ada Example","lines":["Ringstrasse 1"],"locality":"Wien","postalCode":"1010",'
    '"regionCode":"AT"}'
)
CHARGES = [
    {"regionCode": "AT", "title": "Post", "shipping": {"amount": {"amountMinor": "499", "currency": "EUR"}}},
    {"regionCode": "AT", "title": "VAT", "tax": {"rateMillionths": 200_000, "taxesShipping": True}},
]


def create_sent(bench: Bench) -> Iterator[Row]:
    """`POST /v1/orders` with an encrypted address, shipping and tax, and without."""
    mesh = bench.weft
    edge, operator = mesh.mesh["edge"], mesh.mesh["operator"]
    signed_in = {"email": operator["email"], "password": operator["password"]}
    token = httpx.post(f"{edge}/v1/auth:signIn", json=signed_in).raise_for_status().json()["accessToken"]
    headers = {"authorization": f"Bearer {token}"}
    httpx.patch(f"{edge}/v1/charges", json={"charges": CHARGES}, headers=headers).raise_for_status()
    plain = creating(bench, "plain", mesh.edges, mesh)
    sent = Side("sent", replace(plain.plan, arguments={**plain.plan.arguments, "more": ADDRESS}), plain.groups)
    comparisons = [
        Comparison("orders/s, with an address, shipping and tax over plain", "sent", "plain", "rate", at_least=0.8),
        Comparison("CPU per order, with an address, shipping and tax over plain", "sent", "plain", "cpu", at_most=1.25),
    ]
    yield bench.compare(
        Row("create-sent", "REST create order that is sent and taxed", "", comparisons=comparisons), [sent, plain]
    )


def _made(target: str, token: str, count: int = READABLE) -> list[str]:
    """The ids of the caller's newest orders."""
    request = urllib.request.Request(
        f"http://{target}/v1/orders?pageSize={count}", headers={"authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return [order["orderId"] for order in json.load(reply)["orders"]]


def _filled(bench: Bench, side: Side, target: str, token: str) -> list[str]:
    """Ids to read; makes orders first where there are too few."""
    found = _made(target, token)
    while len(found) < READABLE:
        bench.settle(side.plan, side.groups)
        found = _made(target, token)
    return found


def _reading(bench: Bench, name: str, targets: list[str], who: Weft | Peer) -> tuple[Side, Side]:
    """Reads of single orders, and a mix with one new order among five requests."""
    ids = _filled(bench, creating(bench, name, targets, who), targets[0], who.token)
    paths = [f"/v1/orders/{order_id}" for order_id in ids]
    base = {"host": "localhost", "token": who.token, "paths": paths}
    reads = Side(name, bench.plan("http", targets, "get_json", base), who.groups)
    more = {**base, "customers": who.customers, "products": who.products}
    mixed = Side(name, bench.plan("http", targets, "mixed_json", more, expected="200 201"), who.groups)
    return reads, mixed


def reading_and_ordering(bench: Bench, name: str, targets: list[str], who: Weft | Peer) -> Side:
    """The side that reads single orders, and places one with every fifth request."""
    return _reading(bench, name, targets, who)[1]


def reading_one(bench: Bench, name: str, targets: list[str], who: Weft | Peer) -> Side:
    """The side that reads single orders at the targets."""
    return _reading(bench, name, targets, who)[0]


def _both(bench: Bench) -> list[tuple[Side, Side]]:
    mesh, peer = bench.weft, bench.peer(A)
    return [_reading(bench, "weft", mesh.edges, mesh), _reading(bench, PEER_A, peer.targets, peer)]


def get(bench: Bench) -> Iterator[Row]:
    """`GET /v1/orders/{order_id}`, 64 concurrently."""
    comparisons = [
        Comparison("reads/s, Weft over peer (a)", "weft", PEER_A, "rate", at_least=3),
        Comparison("CPU per read, peer (a) over Weft", PEER_A, "weft", "cpu"),
        Comparison("reads/s, Weft over peer (a) behind an Envoy", "weft", PROXIED, "rate", at_least=3),
        Comparison("CPU per read, peer (a) behind an Envoy over Weft", PROXIED, "weft", "cpu"),
        Comparison("CPU per read over that of a new order", "weft", "weft, new orders", "cpu", at_most=0.5),
        Comparison("the same, of the order process", "weft", "weft, new orders", "cpu:order"),
        Comparison("the same, of Envoy", "weft", "weft, new orders", "cpu:envoy"),
    ]
    proxied, mesh = bench.proxied_peer(A), bench.weft
    sides = [*(reads for reads, _ in _both(bench)), _reading(bench, PROXIED, proxied.targets, proxied)[0]]
    sides.append(creating(bench, "weft, new orders", mesh.edges, mesh))
    yield bench.compare(Row("get", "REST get order", comparisons=comparisons), sides)


def mix(bench: Bench) -> Iterator[Row]:
    """Four reads to one new order, 64 concurrently."""
    comparisons = [
        Comparison("requests/s, Weft over peer (a)", "weft", PEER_A, "rate"),
        Comparison("CPU per request, peer (a) over Weft", PEER_A, "weft", "cpu"),
    ]
    yield bench.compare(
        Row("mix", "REST mix, 80 % reads", comparisons=comparisons), [mixed for _, mixed in _both(bench)]
    )


def list_(bench: Bench) -> Iterator[Row]:
    """`GET /v1/orders?pageSize=50`, 16 concurrently."""
    mesh, peer = bench.weft, bench.peer(A)
    sides = []
    for name, targets, who in (("weft", mesh.edges, mesh), (PEER_A, peer.targets, peer)):
        _filled(bench, creating(bench, name, targets, who), targets[0], who.token)
        arguments = {"host": "localhost", "token": who.token, "paths": ["/v1/orders?pageSize=50"]}
        sides.append(Side(name, bench.plan("http", targets, "get_json", arguments, concurrency=16), who.groups))
    comparisons = [
        Comparison("pages/s, Weft over peer (a)", "weft", PEER_A, "rate"),
        Comparison("CPU per page, peer (a) over Weft", PEER_A, "weft", "cpu"),
    ]
    yield bench.compare(Row("list", "REST list, a page of 50 orders", comparisons=comparisons), sides, bench.length.few)


def create_grpc(bench: Bench) -> Iterator[Row]:
    """`CreateOrder` over gRPC, 64 concurrently, straight at the services; the bare echo answers a fixed order."""
    mesh, peer = bench.weft, bench.peer(B)
    address, process = echo(bench)
    arguments = {"method": METHOD, "token": mesh.token, "customers": mesh.customers, "products": mesh.products}
    at_peer = {"method": METHOD, "token": peer.token, "customers": peer.customers, "products": peer.products}
    ours = bench.plan(
        "grpc", mesh.services["order"], "create_order_message", arguments, expected="OK", tls=mesh.tls("order")
    )
    sides = [
        Side("weft", ours, mesh.groups),
        Side(PEER_B, bench.plan("grpc", peer.targets, "create_order_message", at_peer, expected="OK"), peer.groups),
        Side(
            "echo",
            bench.plan("grpc", [address], "create_order_message", arguments, expected="OK"),
            {"order": [process.pid]},
        ),
    ]
    comparisons = [
        Comparison("orders/s, Weft over peer (b)", "weft", PEER_B, "rate"),
        Comparison("CPU per order, peer (b) over Weft", PEER_B, "weft", "cpu"),
        Comparison("CPU of the order process over a bare echo", "weft", "echo", "cpu:order", at_most=3.5),
    ]
    note = "Weft over mutual TLS, peer and echo in plain text."
    yield bench.compare(Row("create-grpc", "gRPC create order", note, comparisons=comparisons), sides)


def latency(bench: Bench) -> Iterator[Row]:
    """New orders at fixed rates, latency from the moment each was due."""
    mesh, peer = bench.weft, bench.peer(A)
    row = Row("latency", "REST create order, latency at fixed rates (open loop)")
    sides = []
    for rate in (50, 200) if bench.length.rounds > 2 else (100,):
        sides.append(creating(bench, f"weft at {rate}/s", mesh.edges, mesh, rate=float(rate), concurrency=256))
        sides.append(creating(bench, f"{PEER_A} at {rate}/s", peer.targets, peer, rate=float(rate), concurrency=256))
        row.comparisons.append(
            Comparison(f"median at {rate}/s, peer (a) over Weft", f"{PEER_A} at {rate}/s", f"weft at {rate}/s", "p50")
        )
    yield bench.compare(row, sides, rounds=bench.length.few)
