"""Start-up time and memory."""

from collections.abc import Iterator

from bench.bench import Bench
from bench.measurements import accounts
from bench.measurements.rows import Row
from bench.numbers import Spread
from bench.stacks import weft


def lifecycle(bench: Bench) -> Iterator[Row]:
    """The mesh from nothing, again on the same data, its end, and the memory used when idle."""
    home = bench.folder / "lifecycle"
    row = Row("lifecycle", "Start-up and memory", "Seconds until `ready`; MiB with shared pages divided (PSS).")
    first, seconds = weft.start(home, otlp=bench.otlp, ratio=bench.ratio, work=True)
    row.numbers["first start, s"] = Spread.of([seconds])
    row.numbers["stop, s"] = Spread.of([first.stop()])
    later = []
    for _ in range(bench.length.few):
        again, seconds = weft.start(home, otlp=bench.otlp, ratio=bench.ratio, work=True)
        later.append(seconds)
        groups = again.groups
        if len(later) == 1:
            for name, pids in groups.items():
                row.numbers[f"memory of {name}, MiB"] = Spread.of([accounts.memory(pids)])
            row.numbers["memory of the whole mesh, MiB"] = Spread.of([accounts.memory([again.process.pid])])
        again.stop()
    row.numbers["later start, s"] = Spread.of(later)
    for kind, name in (("fastapi_sqlalchemy", "peer (a)"), ("grpc_bare", "peer (b)")):
        peer = bench.peer(kind)
        row.numbers[f"memory of {name}'s Python, MiB"] = Spread.of([accounts.memory(peer.groups["python"])])
    bench.say(f"  starts in {Spread.of(later).median:.1f} s")
    yield row
