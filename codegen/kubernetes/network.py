"""Who may connect to whom: nobody, but for what the contract declares and what each part needs outside."""

from typing import Any

from codegen.kubernetes import edge, pods
from codegen.kubernetes.workloads import PORT
from contract import Contract

Json = dict[str, Any]

DATABASE, CACHE = 5432, 6379
DATA_LABEL = "weft.dev/data"
"""Pods of the namespace that hold data, where they run in the cluster; overlays name addresses for servers elsewhere."""
MONITORING = {"namespaceSelector": {"matchLabels": {"weft.dev/monitoring": "true"}}}
"""The namespace of Prometheus and the collector has this label."""
OUTSIDE: dict[str, Json] = {"notification": {"port": 1, "endPort": 65535}, "order": {"port": 443}}
"""Ports on the internet: mail servers and webhooks have the port that their owners say; the payment gateway."""
_ONCE = ("migrate", "bootstrap")
_PRIVATE = {
    "0.0.0.0/0": ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
    "::/0": ["fc00::/7", "fe80::/10"],
}
_NODE_CACHE = "169.254.20.10/32"
"""The address of NodeLocal DNSCache, which is a node's and no pod's."""
_DNS = {
    "to": [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
        {"ipBlock": {"cidr": _NODE_CACHE}},
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


def calls(contract: Contract, names: list[str]) -> dict[str, set[str]]:
    """The callers of each service: services that one of its RPCs declares, and the edge where one is for callers outside."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for method in contract.methods:
        callee = method.package.split(".")[1]
        found[callee] |= method.internal_callers & set(names)
        if not method.internal:
            found[callee].add(edge.NAME)
    return found


def policies(contract: Contract, names: list[str]) -> list[Json]:
    """The policies of the namespace."""
    callers = calls(contract, names)
    made = [_policy("default-deny", {}, [], [])]
    for name in names:
        callees = sorted(callee for callee, who in callers.items() if name in who)
        made.append(
            _policy(
                name,
                {"matchLabels": pods.labels(name)},
                [_from_parts(sorted(callers[name]), PORT), _scraped(pods.PROBES)],
                [_DNS, _to_parts(callees, PORT), *_data(), *_traces(), *_outside(name)],
            )
        )
        once = {"key": next(iter(pods.labels(name))), "operator": "In", "values": [f"{name}-{v}" for v in _ONCE]}
        made.append(_policy(f"{name}-once", {"matchExpressions": [once]}, [], [_DNS, *_data(), *_traces()]))
    reached = sorted(name for name, who in callers.items() if edge.NAME in who)
    made.append(
        _policy(
            edge.NAME,
            {"matchLabels": pods.labels(edge.NAME)},
            [{"ports": [{"port": edge.HTTPS}]}, _scraped(edge.METRICS)],
            [_DNS, _to_parts(reached, PORT), *_traces()],
        )
    )
    return made


def cloudnative(cluster: str) -> Json:
    """Who reaches the pods of a CloudNativePG cluster, and what they reach: each other, and the API by which they elect a primary."""
    own = {"matchLabels": {"cnpg.io/cluster": cluster}}
    services = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "weft"}}}
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cnpg-system"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "cloudnative-pg"}},
    }
    postgres, status = {"port": DATABASE}, {"port": 8000}
    return _policy(
        cluster,
        own,
        [
            {"from": [services], "ports": [postgres]},
            {"from": [{"podSelector": own}, operator], "ports": [postgres, status]},
            _scraped(9187),
        ],
        # The API server has an address of its own in each cluster, as has the store of backups.
        [_DNS, {"to": [{"podSelector": own}], "ports": [postgres, status]}, {"ports": [{"port": 443}, {"port": 6443}]}],
    )


def _policy(name: str, selector: Json, ingress: list[Json], egress: list[Json]) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Ingress", "Egress"],
            **({"ingress": ingress} if ingress else {}),
            **({"egress": egress} if egress else {}),
        },
    }


def _parts(names: list[str]) -> list[Json]:
    return [{"podSelector": {"matchLabels": pods.labels(name)}} for name in names]


def _from_parts(names: list[str], port: int) -> Json:
    return {"from": _parts(names), "ports": [{"port": port}]}


def _to_parts(names: list[str], port: int) -> Json:
    return {"to": _parts(names), "ports": [{"port": port}]}


def _scraped(port: int) -> Json:
    return {"from": [MONITORING], "ports": [{"port": port}]}


def _traces() -> list[Json]:
    return [{"to": [MONITORING], "ports": [{"port": 4317}]}]


def _data() -> list[Json]:
    holders = [{"podSelector": {"matchLabels": {DATA_LABEL: "true"}}}]
    return [{"to": holders, "ports": [{"port": DATABASE}, {"port": CACHE}]}]


def _outside(name: str) -> list[Json]:
    internet = [{"ipBlock": {"cidr": cidr, "except": private}} for cidr, private in _PRIVATE.items()]
    return [{"to": internet, "ports": [OUTSIDE[name]]}] if name in OUTSIDE else []
