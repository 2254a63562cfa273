"""What the namespace may take of the cluster: a fault or an intruder in it takes no more from others."""

from typing import Any

from codegen.kubernetes.edge import REPLICAS
from codegen.kubernetes.workloads import MOST_PODS

Json = dict[str, Any]


def objects(services: list[str]) -> list[Json]:
    """Twice what all parts may take at their largest, which leaves room for a database; and what a pod has that says nothing."""
    jobs = len(services) + 1
    replicas = MOST_PODS * len(services)
    edges = REPLICAS + 1
    hard = {
        "pods": 2 * (replicas + edges + jobs),
        "requests.cpu": 2 * (replicas // 2 + edges + jobs),
        "requests.memory": f"{2 * (replicas + edges + jobs) // 4}Gi",
        "limits.memory": f"{2 * (replicas // 2 + edges + jobs)}Gi",
    }
    each = {
        "type": "Container",
        "default": {"memory": "256Mi"},
        "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
    }
    return [
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "weft"}, "spec": {"limits": [each]}},
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "weft"},
            "spec": {"hard": {name: str(most) for name, most in hard.items()}},
        },
    ]
