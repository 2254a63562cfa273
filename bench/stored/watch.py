"""Watchers beside many orders: how long after it resumes a stream has its first change."""

import json
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING

from bench.load.requests import create_order_json
from bench.measurements.rows import Row
from bench.numbers import Spread
from bench.stacks.weft import Weft

if TYPE_CHECKING:
    from bench.bench import Bench

MISSED = 20
"""Orders that were placed since the cursor."""
TIMES = 20


def row(bench: "Bench", meshes: dict[str, Weft]) -> Row:
    """Resumes streams at the meshes in turns, few orders first; `meshes` by what they have."""
    bench.say("  watch: streams that resume after 20 orders")
    cursors = {name: _cursor(mesh) for name, mesh in meshes.items()}
    found: dict[str, list[float]] = {name: [] for name in meshes}
    for _ in range(TIMES):
        for name, mesh in meshes.items():
            began = time.monotonic()
            _first(mesh, cursors[name])
            found[name].append((time.monotonic() - began) * 1000)
    numbers = {f"ms to the first change, {name}": Spread.of(times) for name, times in found.items()}
    few, many = (spread.median for spread in numbers.values())
    numbers["the same, many over few"] = Spread.of([many / few])
    bench.say(f"  watch: {few:.1f} ms, {many:.1f} ms")
    return Row("growth-watch", "REST watch orders, resumed", numbers=numbers)


def _cursor(mesh: Weft) -> str:
    """The cursor of a change after which there are some."""
    with _stream(mesh, "") as changes:
        _order(mesh)
        cursor = _next(changes)
    for _ in range(MISSED):
        _order(mesh)
    return cursor


def _first(mesh: Weft, cursor: str) -> None:
    with _stream(mesh, cursor) as changes:
        _next(changes)


def _order(mesh: Weft) -> None:
    head, _, body = next(create_order_json("localhost", mesh.token, mesh.customers, mesh.products)).partition(
        b"\r\n\r\n"
    )
    headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
    connection = _connect(mesh)
    connection.request("POST", "/v1/orders", body, headers)
    made = connection.getresponse()
    assert made.status == 201, made.read()
    connection.close()


@contextmanager
def _stream(mesh: Weft, cursor: str) -> Iterator[HTTPResponse]:
    connection = _connect(mesh)
    headers = {"authorization": f"Bearer {mesh.token}", "accept": "text/event-stream"}
    connection.request("GET", f"/v1/orders:watch?{urllib.parse.urlencode({'cursor': cursor})}", headers=headers)
    reply = connection.getresponse()
    assert reply.status == 200, reply.read()
    try:
        yield reply
    finally:
        reply.close()
        connection.close()


def _connect(mesh: Weft) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", int(mesh.edges[0].rpartition(":")[2]), timeout=60)


def _next(changes: HTTPResponse) -> str:
    """The cursor of the next change."""
    while line := changes.readline():
        name, _, value = line.decode().strip().partition(":")
        if name == "data" and "order" in (message := json.loads(value)):
            return str(message["cursor"])
    raise AssertionError("the stream ended without a change")
