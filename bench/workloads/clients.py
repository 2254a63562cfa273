"""What the generated client adds to a bare stub, in the calling process."""

from collections.abc import Iterator

from bench.bench import Bench
from bench.measurements.rows import Comparison, Row, Side
from bench.workloads.chain import echo
from chassis import ids


def client(bench: Bench) -> Iterator[Row]:
    """`GetOrder` at a bare echo, 32 concurrently: deadline, retry budget, breaker, metrics and spans are the difference."""
    address, process = echo(bench)
    order_id = {"order_id": ids.new("ord")}
    groups = {"server": [process.pid]}

    def side(name: str, source: str, **more: object) -> Side:
        plan = bench.plan("client", [address], source, {**order_id, **more}, expected="OK", concurrency=32)
        return Side(name, plan, groups)

    sides = [
        side("bare stub", "bare_orders"),
        side("client, no traces", "weft_orders"),
        side("client, traces at 1 %", "weft_orders", otlp=bench.otlp, ratio=0.01),
        side("client, all traced as services are", "weft_orders", otlp=bench.otlp, ratio=1.0, own=True),
        side("client, all traced by the stock SDK", "weft_orders", otlp=bench.otlp, ratio=1.0),
    ]
    comparisons = [
        Comparison(
            f"{one.name} over a bare stub, caller's CPU",
            one.name,
            "bare stub",
            "cpu:generator",
            # What the SDK costs is the SDK's: about 40 µs a span.
            at_most=None if "SDK" in one.name else 1.5,
        )
        for one in sides[1:]
    ]
    yield bench.compare(
        Row("client", "The generated client against a bare stub", comparisons=comparisons), sides, bench.length.few
    )
