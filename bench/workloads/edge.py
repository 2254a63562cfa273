"""What Envoy costs in front of a service that does nothing, whole and with filters taken out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

import contract
from bench.bench import Bench
from bench.measurements.rows import Comparison, Row, Side
from bench.stacks import dataset, tokens
from bench.stacks.processes import ROOT, Process, free_port
from chassis import ids
from codegen import envoy
from codegen.envoy import routes

PARTS = {
    "whole edge": (),
    "without strict JSON": ("bodies",),
    "transcoder alone": (
        *("lua", "bodies", "buffer", "jwt_authn", "rate_limit", "local_ratelimit"),
        *("compressor", "header_mutation", "cors"),
    ),
}
"""What to take out: filters whose names hold one of these words. Without `lua` the requested RPC is unknown."""
UNLIMITED = 100_000_000
"""Calls a second: an echo answers one client faster than any plan allows."""


def edge(bench: Bench) -> Iterator[Row]:
    """`POST /v1/orders` through Envoy at a bare echo, 64 concurrently."""
    signer = tokens.Signer()
    key = ECKey.import_key(signer.public_key).as_dict(private=False)
    keys = json.dumps({"keys": [{**key, "kid": "bench", "use": "sig", "alg": "ES256"}]})
    upstream, echo = bench.serve("bench.stacks.servers", "edge", env={"BENCH_JWKS": keys})
    token = signer.token(ids.new("cli"), "orders.write", ids.new("prt"))
    customers, products = [ids.new("usr")], [str(row["product_id"]) for row in dataset.products(10)]
    arguments = {"host": "localhost", "token": token, "customers": customers, "products": products}
    sides = []
    for name, without in PARTS.items():
        address, process = _start(bench, upstream, without)
        plan = bench.plan("http", [address], "create_order_json", arguments, expected="200")
        sides.append(Side(name, plan, {"envoy": [process.pid], "echo": [echo.pid]}))
    comparisons = [
        Comparison("whole edge over transcoder alone, Envoy's CPU", "whole edge", "transcoder alone", "cpu:envoy"),
        Comparison("with strict JSON over without, Envoy's CPU", "whole edge", "without strict JSON", "cpu:envoy"),
    ]
    row = bench.compare(Row("edge", "Envoy in front of an echo", comparisons=comparisons), sides, bench.length.few)
    whole, lenient = (row.cpu(side)["envoy"] for side in ("whole edge", "without strict JSON"))
    row.note = f"Strict JSON adds {whole - lenient:,.0f} µs of Envoy's CPU to an order."
    yield row


def _start(bench: Bench, upstream: str, without: tuple[str, ...]) -> tuple[str, Process]:
    """An Envoy with the generated configuration, less some of its filters: its HTTP address and process."""
    read = contract.load()
    port = free_port()
    deployment = envoy.Deployment(
        folder=bench.folder / f"edge-{port}",
        services={package.split(".")[1]: (upstream,) for package in read.packages},
        http_port=port,
        https_port=0,
        metrics_port=free_port(),
        jwks_port=free_port(),
        descriptors=ROOT / "gen" / "contract.binpb",
        access_log=Path("/dev/null"),
    )
    file = envoy.write(read, deployment)
    file.write_text(json.dumps(_less(json.loads(file.read_text()), without)))
    process = Process(list(map(str, envoy.command(deployment))), deployment.folder / "log")
    bench.adopt(process).wait_for(f"127.0.0.1:{port}")
    return f"127.0.0.1:{port}", process


def _less(config: Any, without: tuple[str, ...]) -> Any:
    """The configuration without the HTTP filters that are named, nor what routes say about them; limits are out of reach."""
    if isinstance(config, dict):
        if "tokens_per_fill" in config:
            return {**config, "max_tokens": UNLIMITED, "tokens_per_fill": UNLIMITED}
        kept = {key: _less(value, without) for key, value in config.items()}
        if "typed_per_filter_config" in kept:
            said = kept["typed_per_filter_config"]
            kept["typed_per_filter_config"] = {
                name: value for name, value in said.items() if not any(word in name for word in without)
            }
        if "lua" in without and kept.get("header_name") == routes.RPC:
            kept["header_name"] = ":path"  # once it is transcoded, that is the RPC's
        if "lua" in without and "headers" in kept:
            kept["headers"] = [one for one in kept["headers"] if one["name"] != routes.RPC]
        if "http_filters" in kept:
            kept["http_filters"] = [
                one for one in kept["http_filters"] if not any(word in one["name"] for word in without)
            ]
        return kept
    return [_less(value, without) for value in config] if isinstance(config, list) else config
