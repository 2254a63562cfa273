"""A service on Kubernetes: Deployment, Service, budget of disruptions, autoscaler."""

import json
from math import ceil
from typing import Any

from codegen.kubernetes import pods, secrets

Json = dict[str, Any]

IMAGE = "weft/services"
PORT = 50051
DRAIN_S = 2.5
"""The default of `WEFT_DRAIN`."""
PRE_STOP_S = 5
"""Until every kube-proxy and edge has heard that the pod ends; meanwhile it serves."""
SETTINGS = "weft"
"""The ConfigMap that all parts read."""
MAX_REPLICAS = 10
"""Of a service, as its autoscaler may make."""
SURGE_PERCENT = 25
MOST_PODS = MAX_REPLICAS + ceil(MAX_REPLICAS * SURGE_PERCENT / 100)
"""Of a service, while a release replaces them."""


def settings(names: list[str]) -> Json:
    """What every process is told; overlays add to it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": SETTINGS},
        "data": {
            "WEFT_ENVIRONMENT": "production",
            "WEFT_ISSUER": "https://weft.example",
            "WEFT_PEERS": json.dumps({name: [f"{name}:{PORT}"] for name in names}),
        },
    }


def environment(**more: str) -> list[Json]:
    """The variables that are the same in every environment."""
    fixed = {
        "WEFT_SECRETS_FOLDER": pods.SECRETS,
        "WEFT_TLS_CERT": f"{pods.TLS}/tls.crt",
        "WEFT_TLS_KEY": f"{pods.TLS}/tls.key",
        "WEFT_TLS_CA": f"{pods.TLS}/ca.crt",
        **more,
    }
    return [{"name": name, "value": value} for name, value in fixed.items()]


def migration_environment(name: str) -> list[Json]:
    """The variables of what alters a service's tables, and grants them to the role that serves."""
    fixed = {"WEFT_SECRETS_FOLDER": pods.SECRETS, "WEFT_SERVING_ROLE": f"weft_{name}"}
    return [{"name": name, "value": value} for name, value in fixed.items()]


def service(name: str, longest_call_s: float) -> list[Json]:
    """The objects of a service whose longest call takes so many seconds."""
    return [
        pods.account(name),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": pods.metadata(name, name),
            # Headless: clients and edges see each replica, and balance calls and not connections.
            "spec": {
                "clusterIP": "None",
                "selector": pods.labels(name),
                "ports": [{"name": "grpc", "port": PORT, "targetPort": "grpc", "appProtocol": "grpc"}],
            },
        },
        _deployment(name, longest_call_s),
        pods.disruption_budget(name),
        _autoscaler(name),
    ]


def _deployment(name: str, longest_call_s: float) -> Json:
    grace = ceil(PRE_STOP_S + DRAIN_S + longest_call_s + pods.MARGIN_S)
    container = {
        "name": name,
        "image": IMAGE,
        "args": [f"services.{name}", "serve"],
        "envFrom": [{"configMapRef": {"name": SETTINGS}}],
        "env": environment(WEFT_STOP_GRACE=f"{longest_call_s:g}"),
        "ports": [{"name": "grpc", "containerPort": PORT}, {"name": "metrics", "containerPort": pods.PROBES}],
        "startupProbe": {"httpGet": {"path": "/livez", "port": "metrics"}, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "metrics"}, "periodSeconds": 2, "timeoutSeconds": 2},
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": "metrics"},
            "periodSeconds": 10,
            "timeoutSeconds": 3,
            "failureThreshold": 3,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "resources": pods.resources("500m", "160Mi", "512Mi"),
        "volumeMounts": [
            pods.mount("tls", pods.TLS),
            pods.mount("secrets", pods.SECRETS),
            pods.mount("authority", pods.AUTHORITY),
        ],
    }
    held = pods.secret_volume("secrets", f"{name}-secrets")
    if more := secrets.OPTIONAL.get(name):
        held = pods.secrets_volume("secrets", f"{name}-secrets", secrets.optional_name(name), more)
    volumes = [pods.secret_volume("tls", f"{name}-tls"), held, pods.authority_volume()]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": pods.metadata(name, name),
        "spec": {
            "revisionHistoryLimit": 5,
            "minReadySeconds": pods.MIN_READY_S,
            "selector": {"matchLabels": pods.labels(name)},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": f"{SURGE_PERCENT}%"}},
            "template": {
                "metadata": {"labels": pods.labels(name)},
                "spec": pods.pod(
                    container,
                    volumes,
                    serviceAccountName=name,
                    terminationGracePeriodSeconds=grace,
                    topologySpreadConstraints=pods.spread(name),
                ),
            },
        },
    }


def _autoscaler(name: str) -> Json:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": pods.metadata(name, name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 2,
            "maxReplicas": MAX_REPLICAS,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }
