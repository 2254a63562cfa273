"""Where the edge sends calls: the services' replicas, itself for the key set, and the trace receiver."""

from typing import Any

from codegen.envoy import bounds
from codegen.envoy.deployment import Deployment
from codegen.envoy.lua import time_slicing
from codegen.envoy.secrets import receiver_tls, upstream_tls
from codegen.envoy.typed import Json, address, pipe, seconds, typed
from contract import Contract, Method

EDGES = "edges"
"""The cluster whose members are the edges; its size divides the limits."""
JWKS = "jwks"
UNIX = "unix:"
OTLP = "otlp"
ADMIN = "admin"
"""Envoy's own admin interface, for the two of its pages that anyone may read."""

CALLS_PER_REPLICA = 200
"""Calls in flight per replica: fewer than a service takes (256), so that the edge sheds first."""
STREAMS_PER_REPLICA = 2_000


def service_of(method: Method) -> str:
    """The short name of the service that serves a method: the middle of its package."""
    return method.package.split(".")[1]


def cluster_of(method: Method) -> str:
    """The cluster that serves a method. Streams have their own, so that watchers do not use up the room for calls."""
    return service_of(method) + ("-streams" if method.server_streaming else "")


def build(contract: Contract, deployment: Deployment) -> list[Json]:
    """All clusters. Raises `KeyError` for a service of the contract that the deployment has no addresses of."""
    served = sorted({(cluster_of(m), service_of(m), m.server_streaming) for m in contract.methods if not m.internal})
    clusters = [_service(name, service, streams, deployment) for name, service, streams in served]
    clusters.append(_plain(JWKS, [f"127.0.0.1:{deployment.jwks_port}"]))
    clusters.append(_plain(EDGES, [f"127.0.0.1:{9 + number}" for number in range(deployment.edges)]))
    if deployment.metrics_port:
        clusters.append(_plain(ADMIN, [f"unix:{deployment.admin_socket}"]))
    if deployment.otlp:
        clusters.append(_receiver(deployment))
    return clusters


def _receiver(deployment: Deployment) -> Json:
    """The trace receiver, over TLS where its address says so."""
    scheme, _, target = deployment.otlp.rpartition("://")
    cluster = {**_plain(OTLP, [target]), "typed_extension_protocol_options": _http2()}
    if scheme == "https":
        cluster["transport_socket"] = receiver_tls(target.rpartition(":")[0].strip("[]"), deployment)
    return cluster


def _service(name: str, service: str, streams: bool, deployment: Deployment) -> Json:
    replicas = deployment.services[service]
    at_work = 1 if deployment.time_slicing and not streams else len(replicas) * deployment.replicas
    room = at_work * (STREAMS_PER_REPLICA if streams else CALLS_PER_REPLICA)
    cluster = _plain(name, replicas)
    cluster |= {
        **time_slicing.balancer(deployment, streams=streams),
        "per_connection_buffer_limit_bytes": 1 << 20,
        "typed_extension_protocol_options": _http2(),
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 64,
                    "max_requests": room,
                    # Those that wait for a connection after a start: a burst then is no overload.
                    "max_pending_requests": room,
                    "max_retries": max(3, room // 10),
                }
            ]
        },
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "1s",
                # Without traffic the default is a minute, in which a service that came back would stay unknown.
                "no_traffic_interval": "1s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "outlier_detection": {
            # Only what the network did counts: a service that sheds load is not thrown out for it.
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 3,
            "enforcing_consecutive_local_origin_failure": 100,
            "enforcing_local_origin_success_rate": 0,
            "enforcing_consecutive_5xx": 0,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "3s",
            "max_ejection_percent": 50,
        },
    }
    if deployment.client_cert:
        cluster["transport_socket"] = upstream_tls(service, deployment)
    return cluster


def _plain(name: str, addresses: Any) -> Json:
    return {
        "name": name,
        "type": "STATIC" if all(_is_literal(a) for a in addresses) else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(a)}} for a in addresses]}],
        },
    }


def _address(text: str) -> Json:
    if text.startswith(UNIX):
        return pipe(text.removeprefix(UNIX))
    host, _, port = text.rpartition(":")
    return address(host.strip("[]"), int(port))


def _is_literal(text: str) -> bool:
    if text.startswith(UNIX):
        return True
    host = text.rpartition(":")[0].strip("[]")
    return ":" in host or host.replace(".", "").isdigit()


def _http2() -> Json:
    keepalive = {"interval": seconds(15), "timeout": seconds(5)}
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
            "extensions.upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config={
                "http2_protocol_options": {
                    "connection_keepalive": keepalive,
                    # One bad answer ends its own call; by default, everybody's on the connection.
                    "override_stream_error_on_invalid_http_message": True,
                    "max_header_field_size_kb": bounds.ANSWER_FIELD_KIB,
                }
            },
            common_http_protocol_options={
                "idle_timeout": "3600s",
                "max_response_headers_kb": bounds.ANSWER_HEADER_KIB,
                "max_headers_count": bounds.ANSWER_HEADERS,
            },
        )
    }
