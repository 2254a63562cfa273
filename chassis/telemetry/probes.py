"""The plaintext port of a process, for Prometheus and the kubelet, neither of which speaks mutual TLS: `/metrics`, `/livez`, `/readyz`.

It is served by threads of its own, so that a blocked event loop is told rather than waited for.
"""

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from prometheus_client import make_wsgi_app, start_http_server

MAX_LOOP_SILENCE_S = 30.0
"""Seconds without a turn of the event loop after which the process is taken for dead."""
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Probes:
    """What the process says of itself. One for each process, as there is one registry of metrics."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._turned_at = clock()
        self.ready = False
        """Whether callers may send calls: the same as SERVING of `grpc.health.v1`."""

    def turned(self) -> None:
        """The event loop has had a turn."""
        self._turned_at = self._clock()

    @property
    def live(self) -> bool:
        """Whether the event loop turns; the kubelet restarts a process where it does not."""
        return self._clock() - self._turned_at < MAX_LOOP_SILENCE_S


PROCESS = Probes()


def serve(listen: str, probes: Probes = PROCESS) -> int:
    """Answer on `host:port` from now on; returns the port. Raises `OSError` where that cannot be listened on."""
    host, _, port = listen.rpartition(":")
    server, _ = start_http_server(int(port), host.strip("[]"))
    server.set_app(_routed(probes, make_wsgi_app()))
    return int(server.server_port)


def _routed(probes: Probes, metrics: Wsgi) -> Wsgi:
    checks: dict[str, Callable[[], bool]] = {"/livez": lambda: probes.live, "/readyz": lambda: probes.ready}

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)
        status, body = "404 Not Found", b"There are /metrics, /livez and /readyz.\n"
        if check := checks.get(path):
            status, body = ("200 OK", b"ok\n") if check() else ("503 Service Unavailable", b"not ok\n")
        start_response(status, [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")])
        return [body]

    return answer
