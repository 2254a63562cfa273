"""Starts a peer whole: its PostgreSQL database, its worker processes."""

import os
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.peers import database
from bench.stacks import dataset, node, tokens
from bench.stacks.processes import Process, free_address
from chassis import ids

KINDS = ("fastapi_sqlalchemy", "grpc_bare", "granian_msgspec")
"""(a), (b), (c): the packages of `bench.peers`."""
NODE = "fastify_postgres"
"""(d), which runs only where Node is."""
PLACE_ORDER = Path(database.__file__).parent / "granian_msgspec" / "place_order.sql"
STARTED = {
    "fastapi_sqlalchemy": "Application startup complete",
    "granian_msgspec": "Started worker",
    NODE: "worker ready",
}
"""What a worker logs, where a supervisor listens before its workers have started."""
SCOPES = "orders.read orders.write users.read"


@dataclass
class Peer:
    """A running peer: where it answers, who may call, what there is to order, its processes by group, and their settings."""

    name: str
    targets: list[str]
    token: str
    customers: list[str]
    products: list[str]
    groups: dict[str, list[int]]
    processes: list[Process]
    env: dict[str, str]

    def stop(self) -> None:
        """Ends the processes."""
        for process in self.processes:
            process.stop()


@dataclass(frozen=True)
class Terms:
    """What all sides have in common: the trace receiver (empty for none), the sampled share, workers."""

    otlp: str = ""
    ratio: float = 1.0
    workers: int = os.cpu_count() or 1
    pool_size: int = 16
    token_cache: bool = True


def start(kind: str, url: str, postmaster: int, terms: Terms, logs: Path) -> Peer:
    """Starts a peer, one of `KINDS` or `NODE`, on the empty database at `url` (`postgresql://…/name`)."""
    signer, partner_id = tokens.Signer(), ids.new("prt")
    catalogue, customers = dataset.products(), dataset.customers(partner_id)
    driver_url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    database.prepare_now(driver_url, catalogue, customers)
    token = signer.token(ids.new("cli"), SCOPES, partner_id)
    env = {
        "PEER_DATABASE_URL": driver_url,
        "PEER_JWT_PUBLIC_KEY": signer.public_key,
        "PEER_OTLP_ENDPOINT": terms.otlp,
        "PEER_TRACE_RATIO": str(terms.ratio),
        "PEER_POOL_SIZE": str(terms.pool_size),
        "PEER_TOKEN_CACHE": str(int(terms.token_cache)),
        "PEER_USERS_TOKEN": token,
    }
    launch = {"fastapi_sqlalchemy": _uvicorn, "grpc_bare": _grpc, "granian_msgspec": _granian, NODE: _fastify}[kind]
    targets, processes = launch(terms, env, logs)
    peer = Peer(
        name=kind,
        targets=targets,
        token=token,
        customers=[str(row["user_id"]) for row in customers],
        products=[str(row["product_id"]) for row in catalogue],
        groups={"node" if kind == NODE else "python": [process.pid for process in processes], "postgres": [postmaster]},
        processes=processes,
        env={**env, "PEER_USERS_URL": f"http://{targets[0]}"},
    )
    try:
        for process, target in zip(processes, targets, strict=True):
            process.wait_for(target)
        if kind in STARTED:
            processes[0].wait_until_logged(STARTED[kind], terms.workers)
    except BaseException:
        peer.stop()
        raise
    return peer


def _uvicorn(terms: Terms, env: dict[str, str], logs: Path) -> tuple[list[str], list[Process]]:
    """One supervisor, as many workers as cores, one port."""
    address = free_address()
    env = {**env, "PEER_USERS_URL": f"http://{address}"}
    arguments = ("bench.peers.fastapi_sqlalchemy", address, str(terms.workers))
    return [address], [Process.python(*arguments, log=logs / "peer-a.log", env=env)]


def _granian(terms: Terms, env: dict[str, str], logs: Path) -> tuple[list[str], list[Process]]:
    """The same with Granian, and the order's function in the database."""
    _place_order(env)
    address = free_address()
    env = {**env, "PEER_USERS_URL": f"http://{address}"}
    arguments = ("bench.peers.granian_msgspec", address, str(terms.workers))
    return [address], [Process.python(*arguments, log=logs / "peer-c.log", env=env)]


def _fastify(terms: Terms, env: dict[str, str], logs: Path) -> tuple[list[str], list[Process]]:
    """The same with Node's cluster; its packages are installed first."""
    _place_order(env)
    address = free_address()
    env = {**env, "PEER_USERS_URL": f"http://{address}", "NODE_ENV": "production"}
    server = node.installed(Path(database.__file__).parent / NODE, logs / "node") / "server.js"
    return [address], [Process(["node", str(server), address, str(terms.workers)], logs / "peer-d.log", env)]


def _place_order(env: dict[str, str]) -> None:
    with psycopg.connect(env["PEER_DATABASE_URL"].replace("+asyncpg", "", 1), autocommit=True) as connection:
        connection.execute(PLACE_ORDER.read_bytes())


def _grpc(terms: Terms, env: dict[str, str], logs: Path) -> tuple[list[str], list[Process]]:
    """As many processes as cores, each with a port; the caller balances."""
    targets = [free_address() for _ in range(terms.workers)]
    return targets, [
        Process.python("bench.peers.grpc_bare", target, log=logs / f"peer-b-{number}.log", env=env)
        for number, target in enumerate(targets)
    ]
