"""Starts a real Envoy with the generated configuration."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest

from codegen import envoy
from codegen.envoy import bounds
from contract import Contract


def until(condition: object, what: str, seconds: float = 15) -> None:
    """Ask again and again, at most for `seconds`, until a condition holds; an HTTP error counts as not yet."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (httpx.HTTPError, OSError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


SILENT_S = 3
"""In place of ten seconds: until a connection that says nothing is closed."""
_REFETCH = '"failed_refetch_duration": "1s"'
_SOON = {"tracing.opentelemetry.flush_interval_ms": 20}
"""In place of five seconds: tests wait for spans, and for metrics and lines of the access log, which come as soon."""


@contextmanager
def running(
    contract: Contract, deployment: envoy.Deployment, change: Callable[[Any], None] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """An edge that is live, with keys and healthy services, until the block ends; `change` edits its configuration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "SILENT_TIMEOUT_S", SILENT_S)
        file = envoy.write(contract, deployment)
    config = json.loads(file.read_text())
    config["stats_flush_interval"] = "0.2s"
    config["layered_runtime"]["layers"].insert(0, {"name": "tests", "static_layer": _SOON})
    if change is not None:
        change(config)
    # A first fetch comes before the listener that it asks; the next is a second later.
    file.write_text(json.dumps(config).replace(_REFETCH, _REFETCH.replace("1s", "0.05s")))
    command = envoy.command(deployment)
    command[command.index("--file-flush-interval-msec") + 1] = "20"
    with (
        (deployment.folder / "envoy.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:

            def ready() -> bool:
                assert process.poll() is None, (deployment.folder / "envoy.log").read_text()[-2000:]
                return admin(deployment, "GET", "/ready")[1].strip() == "LIVE"

            until(ready, "Envoy is live")
            yield process
        finally:
            process.terminate()
            process.wait(10)
    said = (deployment.folder / "envoy.log").read_text()
    assert "script log" not in said, said[-2000:]  # a fault of the Lua lets a request pass


def admin(deployment: envoy.Deployment, verb: str, path: str) -> tuple[int, str]:
    """A request to the admin interface of an edge, at its socket: status and body."""
    with socket.socket(socket.AF_UNIX) as protocol:
        protocol.connect(str(deployment.admin_socket))
        connection = HTTPConnection("admin")
        connection.sock = protocol
        connection.request(verb, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()


def stat(deployment: envoy.Deployment, name: str) -> int:
    """One counter or gauge of an edge; 0 where it does not exist yet."""
    _, text = admin(deployment, "GET", f"/stats?filter=^{name}$")
    return int(text.split(": ")[1]) if ": " in text else 0
