"""The user look-up from service to service."""

from collections.abc import Iterator

from bench.bench import Bench
from bench.measurements.rows import Comparison, Row, Side

PEER_A = "peer (a)"


def lookup(bench: Bench) -> Iterator[Row]:
    """One user, 32 concurrently: the generated client over mutual TLS against httpx → FastAPI."""
    mesh, peer = bench.weft, bench.peer("fastapi_sqlalchemy")
    common = {"otlp": bench.otlp, "ratio": bench.ratio}
    ours = {**common, "customers": mesh.customers}
    theirs = {**common, "customers": peer.customers, "token": peer.token}
    user = mesh.services["user"]
    sides = [
        Side(
            "weft",
            bench.plan("client", user, "weft_users", ours, expected="OK", tls=mesh.tls("user"), concurrency=32),
            {name: mesh.groups[name] for name in ("user", "postgres", "valkey")},
        ),
        Side(
            PEER_A,
            bench.plan("client", peer.targets, "httpx_users", theirs, expected="OK", concurrency=32),
            peer.groups,
        ),
    ]
    comparisons = [
        Comparison("look-ups/s, Weft over httpx → FastAPI", "weft", PEER_A, "rate", at_least=5),
        Comparison("CPU of both ends, httpx → FastAPI over Weft", PEER_A, "weft", "cpu with caller"),
    ]
    note = "The caller's own CPU counts. Weft decrypts the user's personal data, and speaks mutual TLS; the peer does neither."
    yield bench.compare(Row("lookup", "Service-to-service user look-up", note, comparisons=comparisons), sides)
