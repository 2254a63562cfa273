"""Replicas that share cores take calls in turns: in each tenth of a second of a busy time one of them takes them all.

Calls then come to a process in bursts that it answers and writes together, while the others sleep and leave it the cores
and their caches (docs/decisions/0016).
"""

from pathlib import Path

from codegen.envoy.deployment import Deployment
from codegen.envoy.typed import Json, http_filter

_SOURCE = Path(__file__).resolve().parents[2] / "deploy" / "envoy" / "turns.lua"
_TURN = "weft.turn"
MANY = 50
"""Calls in a tenth of a second at one worker of an edge; while there are fewer, each call is a turn of its own."""


def source(deployment: Deployment) -> str:
    """The Lua that says whose turn a call is; it goes behind that of `strict_json`, as two filters would cost more."""
    return f"\nlocal MANY = {MANY}\n{_SOURCE.read_text()}" if deployment.turns else ""


def http_filters(deployment: Deployment) -> list[Json]:
    """Put what the Lua says in a form that can be hashed; with the edge's name, so that edges choose apart."""
    if not deployment.turns:
        return []
    said = {"text_format_source": {"inline_string": f"{deployment.folder.name} %DYNAMIC_METADATA(weft:turn)%"}}
    turn = {"object_key": _TURN, "factory_key": "envoy.hashable_string", "format_string": said}
    return [http_filter("set_filter_state", "set_filter_state.v3.Config", on_request_headers=[turn])]


def route(deployment: Deployment) -> Json:
    """What a route's action says beside its cluster."""
    return {"hash_policy": [{"filter_state": {"key": _TURN}}]} if deployment.turns else {}


def balancer(deployment: Deployment, *, streams: bool) -> Json:
    """How a cluster chooses a replica. Streams last, so each goes where there are fewest."""
    if streams or not deployment.turns:
        return {"lb_policy": "LEAST_REQUEST"}
    return {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 2039}}
