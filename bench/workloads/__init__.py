"""The rows, one module for each noun. A workload is a function from the bench to rows; `ALL` names them in order.

Streams join here when they exist: a module with its functions, and its lines in `ALL`.
"""

from collections.abc import Callable, Iterable

from bench.bench import Bench
from bench.measurements.rows import Row
from bench.workloads import (
    chain,
    clients,
    database,
    edge,
    fastest,
    growth,
    lifecycle,
    mail,
    orders,
    users,
    webhooks,
    whole,
)

Workload = Callable[[Bench], Iterable[Row]]

ALL: dict[str, Workload] = {
    "create": orders.create,
    "fastest": fastest.python,
    "node": fastest.on_node,
    "create-sent": orders.create_sent,
    "get": orders.get,
    "list": orders.list_,
    "mix": orders.mix,
    "create-grpc": orders.create_grpc,
    "latency": orders.latency,
    "lookup": users.lookup,
    "chain": chain.chain,
    "client": clients.client,
    "edge": edge.edge,
    "database": database.ceiling,
    "lifecycle": lifecycle.lifecycle,
    "mail": mail.mail,
    "whole": whole.whole,
    "backlog": whole.backlog,
    "webhooks": webhooks.webhooks,
    "stored": growth.stored,
    "replicas": growth.replicas,
    "growth": growth.growth,
}

LARGE = ("growth",)
"""What takes half an hour and 30 GB of disk: only where it is named."""

QUICK = ("create", "fastest", "node", "get", "list", "create-grpc", "lookup", "chain", "database", "mail", "whole")
"""What fits into five minutes."""
