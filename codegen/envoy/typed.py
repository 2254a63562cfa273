"""Parts that Envoy's configuration repeats."""

from typing import Any

Json = dict[str, Any]

TYPES = "type.googleapis.com/"


def typed(kind: str, **fields: Any) -> Json:
    """A message in an `Any`: `kind` is its full name without `envoy.`; a field named `from_` is written `from`."""
    return {"@type": f"{TYPES}envoy.{kind}", **{name.rstrip("_"): value for name, value in fields.items()}}


def extension(name: str, kind: str, **fields: Any) -> Json:
    """A named extension with its typed configuration."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def http_filter(name: str, kind: str, **fields: Any) -> Json:
    """An HTTP filter; `name` and `kind` follow `envoy.filters.http.` and `extensions.filters.http.`."""
    return extension(f"envoy.filters.http.{name}", f"extensions.filters.http.{kind}", **fields)


def address(host: str, port: int) -> Json:
    """A TCP socket address."""
    return {"socket_address": {"address": host, "port_value": port}}


def pipe(path: str, mode: int = 0) -> Json:
    """The address of a Unix socket; the one that listens there says who may connect."""
    return {"pipe": {"path": path, **({"mode": mode} if mode else {})}}


def seconds(value: float) -> str:
    """A duration as protojson writes it: 0.25 → `0.25s`."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def header(name: str, value: str) -> Json:
    """A header that replaces any of the same name."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
