"""What every pod of ours has: no rights, a read-only file system, secrets and certificates as files."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

USER = 10001
TLS = "/run/weft/tls"
SECRETS = "/run/weft/secrets"
AUTHORITY = "/run/weft/authority"
PROBES = 9100
"""The plaintext port of a service."""
MIN_READY_S = 15
"""Between a new pod that is ready and the end of an old one: names are up to 5 s old and asked for every 5 s, and who was refused
tries again within 3.6 s."""
MARGIN_S = 5
"""Beyond what a process may take to end, until the kubelet kills it."""


def labels(name: str) -> Json:
    """What selects the pods of a part."""
    return {"app.kubernetes.io/name": name}


def metadata(name: str, part: str) -> Json:
    """The metadata of an object that belongs to a part."""
    return {"name": name, "labels": labels(part)}


def pod(container: Json, volumes: list[Json], **more: Any) -> Json:
    """The specification of a pod with one container. The restricted Pod Security Standard admits it without a warning."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        },
        **more,
        "containers": [
            {
                **container,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": volumes,
    }  # fmt: skip


def spread(name: str) -> list[Json]:
    """Over zones and nodes, as far as there are any."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels(name)},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def resources(cpu: str, memory: str, limit: str) -> Json:
    """No limit of the processor: it would pause a process that has work, while others have none."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}


def secret_volume(volume: str, secret: str) -> Json:
    """A secret as files that its user alone can read."""
    return {"name": volume, "secret": {"secretName": secret, "defaultMode": 0o440}}


def secrets_volume(volume: str, secret: str, optional: str, keys: Sequence[str]) -> Json:
    """A secret as files, and beside it those of `keys` that another has, where there is that one."""
    more = {"name": optional, "optional": True, "items": [{"key": key, "path": key} for key in keys]}
    sources = [{"secret": {"name": secret}}, {"secret": more}]
    return {"name": volume, "projected": {"defaultMode": 0o440, "sources": sources}}


def authority_volume() -> Json:
    """The authority of a PostgreSQL that is not signed by a public one, where there is the secret; its key, if it has one, is not shown."""
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    return {
        "name": "authority",
        "secret": {"secretName": "postgres-ca", "optional": True, "defaultMode": 0o440, "items": items},
    }


def mount(volume: str, path: str) -> Json:
    """A folder that can only be read."""
    return {"name": volume, "mountPath": path, "readOnly": True}


def disruption_budget(name: str) -> Json:
    """One pod at a time is taken away; one that does not serve anyway may always go."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, name),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": labels(name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def account(name: str) -> Json:
    """A part's own account, which may do nothing."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(name, name),
        "automountServiceAccountToken": False,
    }
