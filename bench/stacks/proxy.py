"""A plain Envoy in front of a peer, so that both sides of a comparison have the same hops."""

import json
from pathlib import Path
from typing import Any

from bench.stacks.processes import Process, free_port
from codegen import envoy

_TYPE = "type.googleapis.com/envoy.extensions"


def start(upstream: str, folder: Path) -> tuple[str, Process]:
    """Starts an Envoy that passes HTTP/1.1 on to `host:port`: its address and process."""
    folder.mkdir()
    port = free_port()
    deployment = envoy.Deployment(
        folder=folder, services={}, http_port=port, https_port=0, metrics_port=0, jwks_port=0, descriptors=folder
    )
    (folder / "edge.json").write_text(json.dumps(_config(port, upstream)))
    process = Process(list(map(str, envoy.command(deployment))), folder / "log")
    process.wait_for(f"127.0.0.1:{port}")
    return f"127.0.0.1:{port}", process


def _config(port: int, upstream: str) -> dict[str, Any]:
    """Retries, tokens, limits and the like are left out: it proxies and nothing else."""
    host, _, upstream_port = upstream.rpartition(":")
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "peer",
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "peer"}}]}
            ]
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}}],
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "http",
                    "address": _address("127.0.0.1", port),
                    "filter_chains": [{"filters": [{"name": "http_connection_manager", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "peer",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": "peer",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": _address(host, int(upstream_port))}}]}
                        ],
                    },
                }
            ],
        }
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
