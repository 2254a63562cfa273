"""The whole bootstrap of one edge, and the files beside it."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from codegen.envoy import bounds, clusters, filters, listeners, secrets, telemetry
from codegen.envoy.deployment import Deployment
from codegen.envoy.limits import callers
from codegen.envoy.lua import strict_json, time_slicing
from codegen.envoy.typed import Json, extension, pipe, typed
from contract import Contract

CONFIG = "edge.json"
DRAIN_SECONDS = 5


def build(contract: Contract, deployment: Deployment) -> Json:
    """Envoy's bootstrap, version 3, as JSON-able values."""
    return {
        "node": {"id": deployment.folder.name, "cluster": "edge"},
        "admin": {"address": pipe(str(deployment.admin_socket), 0o600)},
        "cluster_manager": {"local_cluster_name": clusters.EDGES},
        "static_resources": {
            "listeners": listeners.build(contract, deployment),
            "clusters": clusters.build(contract, deployment),
        },
        "overload_manager": _overload(),
        "layered_runtime": {
            "layers": [{"name": "edge", "static_layer": telemetry.RUNTIME}, {"name": "admin", "admin_layer": {}}]
        },
    }


def files(contract: Contract, deployment: Deployment) -> dict[str, str]:
    """Name to text of everything that `deployment.folder` must hold: `edge.json` and its companions."""
    found = {name: _text(content) for name, content in secrets.files(deployment).items()}
    found[filters.STRICT] = strict_json.headers(contract, deployment) + time_slicing.source(deployment)
    found[filters.BODIES] = strict_json.bodies(contract, deployment)
    found[CONFIG] = _text(build(contract, deployment))
    return found


def write(contract: Contract, deployment: Deployment) -> Path:
    """Write `files` into `deployment.folder`, creating it, and return the path of `edge.json`."""
    deployment.folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(contract, deployment).items():
        (deployment.folder / name).write_text(text)
    (deployment.folder / callers.FILE).write_bytes(callers.module(deployment))
    return deployment.folder / CONFIG


def command(deployment: Deployment) -> list[str]:
    """The command line that runs this edge from its folder. Raises `FileNotFoundError` where Envoy is not installed."""
    # The wheel's script, beside this Python, replaces itself with Envoy: the process is Envoy's own.
    found = shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")
    if not found:
        raise FileNotFoundError("Envoy is not installed: run `make setup`, or put `envoy` into PATH.")
    return [
        *(found, "-c", str(deployment.folder / CONFIG)),
        *("--concurrency", str(deployment.concurrency)),
        *("--drain-time-s", str(DRAIN_SECONDS), "--drain-strategy", "immediate"),
        *("--disable-hot-restart", "--log-level", "warning", "--file-flush-interval-msec", "1000"),
        # The first fetch of the keys comes before the listener that it asks; the next is a second later.
        *("--component-log-level", "jwt:error"),
    ]


def generate(contract: Contract, root: Path) -> None:
    """Write `deploy/envoy/edge.golden.json` and `edge.golden.lua` (its tables) under `root`, for a sample."""
    deployment, folder = sample(contract), root / "deploy" / "envoy"
    (folder / "edge.golden.json").write_text(_text(build(contract, deployment)))
    (folder / "edge.golden.lua").write_text(strict_json.tables(contract, deployment))


def sample(contract: Contract) -> Deployment:
    """The deployment of the golden file: two edges, two replicas of each service, every option in use."""
    names = [package.split(".")[1] for package in contract.packages]
    certificates = Path("/etc/weft/certs")
    return Deployment(
        folder=Path("/etc/weft/edge"),
        services={name: (f"{name}-0.weft.internal:5001", f"{name}-1.weft.internal:5001") for name in names},
        http_port=8080,
        https_port=8443,
        metrics_port=9901,
        jwks_port=9902,
        descriptors=Path("/etc/weft/descriptors.binpb"),
        openapi=Path("/etc/weft/openapi.json"),
        docs=Path("/etc/weft/docs"),
        front=Path("/etc/weft/front"),
        ca=certificates / "ca.crt",
        client_cert=certificates / "edge.crt",
        client_key=certificates / "edge.key",
        server_cert=certificates / "edge-server.crt",
        server_key=certificates / "edge-server.key",
        https_address="0.0.0.0",  # noqa: S104 (a container's own address)
        otlp="collector:4317",
        trace_ratio=0.01,
        edges=2,
        cors_origins=("https://shop.example",),
        time_slicing=True,
        concurrency=2,
    )


def _overload() -> Json:
    """Under memory pressure release heap, shorten timeouts, end the largest streams, then refuse; and limit connections."""
    heap = "envoy.resource_monitors.fixed_heap"
    downstream = "envoy.resource_monitors.global_downstream_max_connections"
    monitors = [
        extension(
            heap, "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=bounds.HEAP_BYTES
        ),
        extension(
            downstream,
            "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            max_active_downstream_connections=bounds.MAX_CONNECTIONS,
        ),
    ]
    return {
        "refresh_interval": "0.1s",
        "resource_monitors": monitors,
        "actions": [
            _action("shrink_heap", heap, threshold={"value": 0.8}),
            _action("disable_http_keepalive", heap, threshold={"value": 0.85}),
            _action("reduce_timeouts", heap, _scaled(0.75, 0.95), _shorter()),
            # The streams that hold most go first: callers that do not read their answers.
            _action("reset_high_memory_stream", heap, _scaled(0.85, 0.97)),
            _action("reject_incoming_connections", heap, threshold={"value": 0.95}),
            _action("stop_accepting_requests", heap, threshold={"value": 0.97}),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": bounds.TRACKED_POWER},
    }


def _action(
    name: str, monitor: str, scaled: Json | None = None, typed_config: Json | None = None, **trigger: Any
) -> Json:
    found: Json = {"name": f"envoy.overload_actions.{name}"}
    found["triggers"] = [{"name": monitor, **({"scaled": scaled} if scaled else trigger)}]
    return found | ({"typed_config": typed_config} if typed_config else {})


def _scaled(begins: float, full: float) -> Json:
    return {"scaling_threshold": begins, "saturation_threshold": full}


def _shorter() -> Json:
    least = {
        "HTTP_DOWNSTREAM_CONNECTION_IDLE": "1s",
        "HTTP_DOWNSTREAM_STREAM_IDLE": "5s",
        "TRANSPORT_SOCKET_CONNECT": "2s",
    }
    factors = [{"timer": timer, "min_timeout": shortest} for timer, shortest in least.items()]
    return typed("config.overload.v3.ScaleTimersOverloadActionConfig", timer_scale_factors=factors)


def _text(content: Json) -> str:
    return _laid_out(content, "") + "\n"


def _laid_out(content: Any, indent: str) -> str:
    """JSON with one line for whatever fits into 120 characters, so that diffs are readable."""
    line = json.dumps(content, ensure_ascii=False)
    if len(indent) + len(line) <= 120 or not isinstance(content, dict | list) or not content:
        return line
    deeper = f"{indent} "
    if isinstance(content, dict):
        items = [f"{json.dumps(key)}: {_laid_out(value, deeper)}" for key, value in content.items()]
    else:
        items = [_laid_out(value, deeper) for value in content]
    opening, closing = ("{", "}") if isinstance(content, dict) else ("[", "]")
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(items) + f"\n{indent}{closing}"
