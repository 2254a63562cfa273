"""What the environment asks of the local mesh."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.failures import MeshError

ROOT = Path(__file__).resolve().parents[2]
"""The tree that this file is in; the mesh runs its services."""
HTTP_PORT = 8080
"""Where the first edge speaks HTTP, unless `WEFT_EDGE_PORT` says otherwise."""
LEAST_REFUSALS, MOST_REFUSALS = 100, 1_000_000
"""Bounds of `WEFT_REFUSALS`; the first is what an edge has by itself, `codegen.envoy.bounds`, which the supervisor does not load."""


@dataclass(frozen=True)
class Options:
    """`home` holds the state; `replicas` is per service; an empty address means the embedded part."""

    home: Path
    edge_port: int
    replicas: int
    edges: int
    database_url: str
    database_prefix: str
    redis_url: str
    otlp_endpoint: str
    trace_ratio: float
    refusals: int
    edge_drain: int
    """Seconds, at most, that callers have to leave an edge that is replaced; longer streams are cut."""
    issuer: str
    """Who signs tokens: the URL under which callers reach the edge, as clients find everything else from there."""


def home(env: Mapping[str, str] = os.environ) -> Path:
    """Where the state of the mesh is."""
    return Path(env.get("WEFT_HOME") or ROOT / ".weft").expanduser().absolute()


def read(env: Mapping[str, str] = os.environ) -> Options:
    """The options in `env`. Raises `MeshError` for an invalid value."""
    edge_port = _number(env, "WEFT_EDGE_PORT", HTTP_PORT, 1, 65535)
    return Options(
        home=home(env),
        edge_port=edge_port,
        replicas=_number(env, "WEFT_REPLICAS", 1, 1, 16),
        edges=_number(env, "WEFT_EDGES", 1, 1, 16),
        database_url=env.get("WEFT_DATABASE_URL", ""),
        database_prefix=env.get("WEFT_DATABASE_PREFIX") or "weft",
        redis_url=env.get("WEFT_REDIS_URL", ""),
        otlp_endpoint=env.get("WEFT_OTLP_ENDPOINT", ""),
        trace_ratio=_ratio(env),
        refusals=_number(env, "WEFT_REFUSALS", LEAST_REFUSALS, LEAST_REFUSALS, MOST_REFUSALS),
        edge_drain=_number(env, "WEFT_EDGE_DRAIN", 10, 0, 600),
        issuer=(env.get("WEFT_ISSUER") or f"http://localhost:{edge_port}").rstrip("/"),
    )


def _number(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = env.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise MeshError(f"{name} is {value!r}: set it to a whole number from {least} to {most}.")
    return int(value)


def _ratio(env: Mapping[str, str]) -> float:
    value = env.get("WEFT_TRACE_RATIO") or "1"
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise MeshError(f"WEFT_TRACE_RATIO is {value!r}: set it to a number from 0 to 1.")
    return ratio
