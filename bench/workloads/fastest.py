"""Orders created and read over REST, beside the fastest that Python and Node do."""

from collections.abc import Iterator

from bench.bench import Bench
from bench.measurements.rows import Comparison, Row
from bench.stacks import node, peers
from bench.stacks.peers import Peer
from bench.stacks.weft import Weft
from bench.workloads.orders import C, creating, reading_one

COMPILED_S = 12.0
"""Seconds of load until V8 has compiled what an order needs: before, it takes up to five times the CPU."""
CREATE, GET = "REST create order", "REST get order"


def python(bench: Bench) -> Iterator[Row]:
    """`POST /v1/orders` and `GET /v1/orders/{order_id}`, 64 concurrently, beside Granian, msgspec and asyncpg."""
    sides = _sides(bench, C, "peer (c)")
    note = "Peer: client → Granian, or → Envoy → Granian."
    create = Row("fastest-create", f"{CREATE}, beside Granian, msgspec and asyncpg", note)
    create.comparisons = _comparisons("peer (c)", "order", 1.0)
    yield bench.compare(create, [creating(bench, name, *who) for name, who in sides.items()])
    get = Row("fastest-get", f"{GET}, beside Granian, msgspec and asyncpg", note)
    get.comparisons = _comparisons("peer (c)", "read", 1.0)
    yield bench.compare(get, [reading_one(bench, name, *who) for name, who in sides.items()])


def on_node(bench: Bench) -> Iterator[Row]:
    """The same beside Fastify and postgres.js, where Node is."""
    create = Row("node-create", f"{CREATE}, beside Fastify and postgres.js")
    if left_out := node.missing():
        create.note = f"Left out: {left_out}"
        bench.say(f"  {create.note}")
        yield create
        return
    sides = _sides(bench, peers.NODE, "peer (d)")
    create.note = "Peer: client → a cluster of Node, or → Envoy → it."
    create.comparisons = _comparisons("peer (d)", "order", 1.2)
    creates = [creating(bench, name, *who) for name, who in sides.items()]
    bench.settle(creates[-1].plan, creates[-1].groups, COMPILED_S)
    yield bench.compare(create, creates)
    get = Row("node-get", f"{GET}, beside Fastify and postgres.js", create.note)
    get.comparisons = _comparisons("peer (d)", "read")
    gets = [reading_one(bench, name, *who) for name, who in sides.items()]
    bench.settle(gets[-1].plan, gets[-1].groups, COMPILED_S / 2)
    yield bench.compare(get, gets)


def _sides(bench: Bench, kind: str, peer: str) -> dict[str, tuple[list[str], Weft | Peer]]:
    """Weft, the peer behind a plain Envoy, and the peer alone: where they answer, and who."""
    mesh, proxied, alone = bench.weft, bench.proxied_peer(kind), bench.peer(kind)
    return {
        "weft": (mesh.edges, mesh),
        f"{peer} behind Envoy": (proxied.targets, proxied),
        peer: (alone.targets, alone),
    }


def _comparisons(peer: str, one: str, aim: float | None = None) -> list[Comparison]:
    proxied = f"{peer} behind Envoy"
    return [
        Comparison(f"{one}s/s, Weft over {peer} behind an Envoy", "weft", proxied, "rate", at_least=aim),
        Comparison(f"CPU per {one}, {peer} behind an Envoy over Weft", proxied, "weft", "cpu", at_least=aim),
        Comparison(f"{one}s/s, Weft over {peer}", "weft", peer, "rate"),
        Comparison(f"CPU per {one}, {peer} over Weft", peer, "weft", "cpu"),
    ]
