"""Time-slicing of replicas that share cores: while calls are many, each tenth of a second belongs to one replica.

Calls then come to a process in bursts that it answers and writes together, while the others sleep and leave it the cores
and their caches (docs/decisions/0016).
"""

from pathlib import Path

from codegen.envoy.deployment import Deployment
from codegen.envoy.typed import Json, http_filter

_SOURCE = Path(__file__).resolve().parents[3] / "deploy" / "envoy" / "time_slicing.lua"
_SLICE = "weft.slice"
BUSY_CALLS = 50
"""Calls in a tenth of a second at one worker of an edge; while there are fewer, each call has a slice of its own."""


def source(deployment: Deployment) -> str:
    """The Lua that names a call's slice. It is appended to that of `strict_json`, because two filters would cost more."""
    return f"\nlocal BUSY_CALLS = {BUSY_CALLS}\n{_SOURCE.read_text()}" if deployment.time_slicing else ""


def http_filters(deployment: Deployment) -> list[Json]:
    """Make the slice hashable; with the edge's name, so that edges choose independently."""
    if not deployment.time_slicing:
        return []
    key = {"text_format_source": {"inline_string": f"{deployment.folder.name} %DYNAMIC_METADATA(weft:slice)%"}}
    slice_ = {"object_key": _SLICE, "factory_key": "envoy.hashable_string", "format_string": key}
    return [http_filter("set_filter_state", "set_filter_state.v3.Config", on_request_headers=[slice_])]


def route(deployment: Deployment) -> Json:
    """The hash policy that a route's action adds to its cluster."""
    return {"hash_policy": [{"filter_state": {"key": _SLICE}}]} if deployment.time_slicing else {}


def balancer(deployment: Deployment, *, streams: bool) -> Json:
    """How a cluster chooses a replica. Streams are long, so each goes where there are fewest."""
    if streams or not deployment.time_slicing:
        return {"lb_policy": "LEAST_REQUEST"}
    return {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 2039}}
