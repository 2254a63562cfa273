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
_LINK = {"169.254.0.0/16", "fe80::/10"}
_NODE_CACHE = "169.254.20.10/32"
"""The address of NodeLocal DNSCache, which is a node's and no pod's."""
DNS = {
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
    made = [policy("default-deny", {}, [], [])]
    for name in names:
        callees = sorted(callee for callee, who in callers.items() if name in who)
        made.append(
            policy(
                name,
                {"matchLabels": pods.labels(name)},
                [_from_parts(sorted(callers[name]), PORT), scraped(pods.PROBES)],
                [DNS, _to_parts(callees, PORT), *_data(), *_traces(), *_outside(name)],
            )
        )
        once = {"key": next(iter(pods.labels(name))), "operator": "In", "values": [f"{name}-{v}" for v in _ONCE]}
        made.append(policy(f"{name}-once", {"matchExpressions": [once]}, [], [DNS, *_data(), *_traces()]))
    reached = sorted(name for name, who in callers.items() if edge.NAME in who)
    made.append(
        policy(
            edge.NAME,
            {"matchLabels": pods.labels(edge.NAME)},
            [{"ports": [{"port": edge.HTTPS}]}, scraped(edge.METRICS)],
            [DNS, _to_parts(reached, PORT), *_traces()],
        )
    )
    return made


def policy(name: str, selector: Json, ingress: list[Json], egress: list[Json]) -> Json:
    """Pods of a selector, with all that they may be reached by and may reach."""
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


def scraped(port: int) -> Json:
    """Prometheus reads it there."""
    return {"from": [MONITORING], "ports": [{"port": port}]}


def _traces() -> list[Json]:
    return [{"to": [MONITORING], "ports": [{"port": 4317}]}]


def _data() -> list[Json]:
    holders = [{"podSelector": {"matchLabels": {DATA_LABEL: "true"}}}]
    return [{"to": holders, "ports": [{"port": DATABASE}, {"port": CACHE}]}]


def _outside(name: str) -> list[Json]:
    return [{"to": internet(), "ports": [OUTSIDE[name]]}] if name in OUTSIDE else []


def internet() -> list[Json]:
    """Public addresses."""
    return [{"ipBlock": {"cidr": cidr, "except": private}} for cidr, private in _PRIVATE.items()]


def inside() -> list[Json]:
    """Private addresses, but for those of the link, where clouds tell their credentials."""
    private = [cidr for cidrs in _PRIVATE.values() for cidr in cidrs]
    return [{"ipBlock": {"cidr": cidr}} for cidr in private if cidr not in _LINK]
