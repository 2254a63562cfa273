"""The component `cloudnative-pg`: PostgreSQL in the namespace, its backups, and who may reach it."""

from typing import Any

from codegen.kubernetes import network
from codegen.kubernetes.workloads import MOST_PODS

Json = dict[str, Any]

CLUSTER = "postgres"
"""Its primary is `postgres-rw`."""
IMAGE = "ghcr.io/cloudnative-pg/postgresql:18.6-minimal-trixie"
"""Without Barman, which runs beside it."""
POOL = 8
"""The default of `WEFT_POOL_SIZE`."""
BACKUPS = "postgres-backups"
PLUGIN = {"name": "barman-cloud.cloudnative-pg.io"}
ARCHIVE = f"{CLUSTER}-1"
"""Its folder in the store: one that is restored has the next number, as an archive has one writer."""
KEPT = "30d"
_SIDECAR = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}


def objects(services: list[str]) -> list[Json]:
    """The cluster with databases and roles, whose passwords are in secrets of their names, with hyphens; its backups; its policy."""
    return [_cluster(services), *(_database(service) for service in services), *_backups(), _policy()]


def _cluster(services: list[str]) -> Json:
    roles = [role for service in services for role in (f"weft_{service}", f"weft_{service}_owner")]
    # A pool and a listener for each pod, those of a release too, and those of Jobs and people.
    connections = (POOL + 1) * MOST_PODS * len(services) + 50
    spec = {
        "instances": 3,
        "imageName": IMAGE,
        "inheritedMetadata": {"labels": {network.DATA_LABEL: "true"}},
        "affinity": {"topologyKey": "topology.kubernetes.io/zone", "podAntiAffinityType": "preferred"},
        # The same as the limit: the node's memory is the database's own, and it is the last to be killed.
        "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        "postgresql": {"parameters": {"shared_buffers": "1GB", "max_connections": str(connections)}},
        "storage": {"size": "100Gi"},
        "walStorage": {"size": "20Gi"},
        "plugins": [
            {**PLUGIN, "isWALArchiver": True, "parameters": {"barmanObjectName": BACKUPS, "serverName": ARCHIVE}}
        ],
        "managed": {
            "roles": [
                {
                    "name": role,
                    "login": True,
                    "inherit": role.endswith("_owner"),
                    "passwordSecret": {"name": role.replace("_", "-")},
                }
                for role in roles
            ]
        },
    }
    return _object("postgresql.cnpg.io/v1", "Cluster", CLUSTER, spec)


def _database(service: str) -> Json:
    spec = {
        "cluster": {"name": CLUSTER},
        "name": f"weft_{service}",
        "owner": f"weft_{service}_owner",
        "encoding": "UTF8",
    }
    return _object("postgresql.cnpg.io/v1", "Database", f"weft-{service}", spec)


def _backups() -> list[Json]:
    """Everything that is written goes to the store as it is archived, and all of it once a day."""
    keys = {"accessKeyId": "access_key_id", "secretAccessKey": "secret_access_key"}
    store = {
        "configuration": {
            "destinationPath": "s3://weft-backups.example/",
            "s3Credentials": {field: {"name": BACKUPS, "key": key} for field, key in keys.items()},
            "wal": {"compression": "gzip"},
            "data": {"compression": "gzip"},
        },
        "retentionPolicy": KEPT,
        "instanceSidecarConfiguration": {"resources": _SIDECAR},
    }
    daily = {
        "cluster": {"name": CLUSTER},
        "schedule": "0 0 2 * * *",
        "immediate": True,
        "backupOwnerReference": "cluster",
        "method": "plugin",
        "pluginConfiguration": PLUGIN,
    }
    return [
        _object("barmancloud.cnpg.io/v1", "ObjectStore", BACKUPS, store),
        _object("postgresql.cnpg.io/v1", "ScheduledBackup", f"{CLUSTER}-daily", daily),
    ]


def _policy() -> Json:
    """Instances reach each other, the API by which they elect a primary, and the store of backups."""
    own = {"matchLabels": {"cnpg.io/cluster": CLUSTER}}
    services = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "weft"}}}
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cnpg-system"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "cloudnative-pg"}},
    }
    postgres, status, https = {"port": network.DATABASE}, {"port": 8000}, {"port": 443}
    return network.policy(
        CLUSTER,
        own,
        [
            {"from": [services], "ports": [postgres]},
            {"from": [{"podSelector": own}, operator], "ports": [postgres, status]},
            network.scraped(9187),
        ],
        [
            network.DNS,
            {"to": [{"podSelector": own}], "ports": [postgres, status]},
            # Each cluster's API server has addresses of its own, inside or public: `kubectl get endpoints kubernetes`.
            {"to": network.inside(), "ports": [https, {"port": 6443}]},
            {"to": network.internet(), "ports": [https]},
        ],
    )


def _object(version: str, kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
