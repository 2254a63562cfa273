"""What the chassis's chain adds to a bare call, and what OpenTelemetry's stock interceptor adds."""

import json
from collections.abc import Iterator

from joserfc.jwk import ECKey
from weft.order.v1 import order_service_pb2

from bench.bench import Bench
from bench.measurements.rows import Comparison, Row, Side
from bench.stacks import tokens
from bench.stacks.processes import Process
from chassis import ids

METHOD = "/weft.order.v1.OrderService/GetOrder"


def echo(bench: Bench) -> tuple[str, Process]:
    """A bare grpc.aio server on uvloop that answers a fixed order."""
    return bench.serve("bench.stacks.servers", "bare")


def chain(bench: Bench) -> Iterator[Row]:
    """`GetOrder` with a token, answered with a fixed order: bare, through the chain, through the stock interceptor."""
    signer = tokens.Signer()
    key = ECKey.import_key(signer.public_key).as_dict(private=False)
    keys = json.dumps({"keys": [{**key, "kid": "bench", "use": "sig", "alg": "ES256"}]})
    token = signer.token(ids.new("cli"), "orders.read", ids.new("prt"))
    message = order_service_pb2.GetOrderRequest(order_id=ids.new("ord")).SerializeToString().hex()
    kinds = {
        "bare": ("bare", {}),
        "chain, traces at 1 %": ("chain", {"BENCH_RATIO": "0.01"}),
        "chain, traces at 100 %": ("chain", {"BENCH_RATIO": "1"}),
        "stock interceptor, 1 %": ("stock", {"BENCH_RATIO": "0.01"}),
        "stock interceptor, 100 %": ("stock", {"BENCH_RATIO": "1"}),
    }
    sides = []
    for name, (kind, env) in kinds.items():
        address, process = bench.serve(
            "bench.stacks.servers", kind, env={"BENCH_OTLP": bench.otlp, "BENCH_JWKS": keys, **env}
        )
        arguments = {"method": METHOD, "token": token, "message": message}
        plan = bench.plan("grpc", [address], "same_message", arguments, expected="OK", concurrency=32)
        sides.append(Side(name, plan, {"server": [process.pid]}))
    comparisons = [
        Comparison("chain at 1 % over a bare call, CPU", "chain, traces at 1 %", "bare", "cpu", at_most=1.5),
        Comparison("chain at 100 % over a bare call, CPU", "chain, traces at 100 %", "bare", "cpu", at_most=2.0),
        Comparison("stock interceptor at 1 % over a bare call, CPU", "stock interceptor, 1 %", "bare", "cpu"),
        Comparison("stock interceptor at 100 % over a bare call, CPU", "stock interceptor, 100 %", "bare", "cpu"),
    ]
    yield bench.compare(Row("chain", "The chain against a bare call", comparisons=comparisons), sides)
