"""Limits on what one address may hold of the edge, in a small Wasm module, because no filter of Envoy's has them.

The module is `deploy/envoy/callers.wat`. It runs before each connection and, behind token and limit, before each body.
"""

from pathlib import Path

from codegen.envoy import bounds
from codegen.envoy.deployment import Deployment
from codegen.envoy.typed import Json, extension, http_filter

FILE = "callers.wasm"
_SOURCE = Path(__file__).resolve().parents[3] / "deploy" / "envoy" / "callers.wat"


def module(deployment: Deployment) -> bytes:
    """The module as Envoy takes it."""
    import wasmtime  # 30 MB, which an image that holds the module already does without

    return bytes(wasmtime.wat2wasm(text(deployment)))


def text(deployment: Deployment) -> str:
    """The module with the numbers of a deployment: each worker counts for itself, and has its share of the whole."""
    numbers = {
        "CONNECTIONS": bounds.MAX_CONNECTIONS_PER_ADDRESS,
        "ADDRESS_BYTES": bounds.MAX_REQUEST_BYTES_PER_ADDRESS,
        "BYTES": bounds.MAX_REQUEST_BYTES // deployment.concurrency,
        "SILENT_S": bounds.SILENT_TIMEOUT_S,
    }
    found = _SOURCE.read_text()
    for name, number in numbers.items():
        found = found.replace(f"{{{name}}}", str(number))
    return found


def connection_filters(deployment: Deployment) -> list[Json]:
    """Closes connections above an address's bound, and those that send nothing. Behind proxies all have a proxy's address, so it is the proxies' task."""
    if deployment.trusted_hops:
        return []
    return [
        extension("envoy.filters.network.wasm", "extensions.filters.network.wasm.v3.Wasm", config=_plugin(deployment))
    ]


def request_filter(deployment: Deployment) -> Json:
    """Refuses requests that would make their address, or all together, hold too much."""
    return http_filter("wasm", "wasm.v3.Wasm", config=_plugin(deployment))


def _plugin(deployment: Deployment) -> Json:
    return {
        "name": "callers",
        "failure_policy": "FAIL_RELOAD",
        # One instance, so one memory, for both filters.
        "vm_config": {
            "vm_id": "callers",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(deployment.folder / FILE)}},
        },
    }
