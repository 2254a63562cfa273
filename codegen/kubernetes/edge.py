"""The edge on Kubernetes. It finds replicas through the names of headless services."""

from math import ceil
from typing import Any

from codegen.kubernetes import pods
from codegen.kubernetes.workloads import MAX_REPLICAS, PRE_STOP_S, SETTINGS

Json = dict[str, Any]

IMAGE = "weft/edge"
NAME = "edge"
HTTPS, METRICS = 8443, 9901
REPLICAS = 2
"""Each has its share of the limits (`WEFT_EDGES`), so their number is stated and not scaled automatically."""
LAST_MESSAGE_S = 10
"""Beyond its deadline, for the last message of a stream."""
_SERVER = "/run/weft-server"


def objects(longest_s: float) -> list[Json]:
    """The edge's objects, given the seconds that the longest call may take, streams included: nobody tells those to come again."""
    return [
        pods.account(NAME),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": pods.metadata(NAME, NAME),
            "spec": {
                "selector": pods.labels(NAME),
                "ports": [{"name": "https", "port": 443, "targetPort": "https"}],
            },
        },
        _deployment(ceil(longest_s) + LAST_MESSAGE_S),
        pods.disruption_budget(NAME),
    ]


def _deployment(drain_s: int) -> Json:
    variables = {
        "WEFT_EDGES": str(REPLICAS),
        "WEFT_EDGE_FOLDER": "/run/weft",
        # What is in flight is bounded by each replica; an edge only has to leave room for all that there may be.
        "WEFT_EDGE_REPLICAS": str(MAX_REPLICAS),
        "WEFT_EDGE_DRAIN": str(drain_s),
        "WEFT_EDGE_SERVER_CERT": f"{_SERVER}/tls.crt",
        "WEFT_EDGE_SERVER_KEY": f"{_SERVER}/tls.key",
        "WEFT_TLS_CERT": "/run/weft-tls/tls.crt",
        "WEFT_TLS_KEY": "/run/weft-tls/tls.key",
        "WEFT_TLS_CA": "/run/weft-tls/ca.crt",
    }
    ready = {"path": "/ready", "port": "metrics"}
    container = {
        "name": NAME,
        "image": IMAGE,
        "envFrom": [{"configMapRef": {"name": SETTINGS}}],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "https", "containerPort": HTTPS}, {"name": "metrics", "containerPort": METRICS}],
        "startupProbe": {"httpGet": ready, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {"httpGet": ready, "periodSeconds": 2, "timeoutSeconds": 2},
        "livenessProbe": {"tcpSocket": {"port": "https"}, "periodSeconds": 10, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "resources": pods.resources("1", "192Mi", "1Gi"),
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/weft"},
            pods.mount("tls", "/run/weft-tls"),
            pods.mount("server", _SERVER),
        ],
    }
    volumes = [
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        pods.secret_volume("tls", f"{NAME}-tls"),
        pods.secret_volume("server", f"{NAME}-server-tls"),
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": pods.metadata(NAME, NAME),
        "spec": {
            "replicas": REPLICAS,
            "revisionHistoryLimit": 5,
            "minReadySeconds": pods.MIN_READY_S,
            "selector": {"matchLabels": pods.labels(NAME)},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": pods.labels(NAME)},
                "spec": pods.pod(
                    container,
                    volumes,
                    serviceAccountName=NAME,
                    terminationGracePeriodSeconds=PRE_STOP_S + drain_s + pods.MARGIN_S,
                    topologySpreadConstraints=pods.spread(NAME),
                ),
            },
        },
    }
