"""What the load generator is to do, and what it found; both travel as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Plan:
    """One run of load.

    `source` names a function `module:name` that is called with `arguments` and gives the requests (see `bench.load.http`
    and `bench.load.rpc`). With `rate` (requests a second) the loop is open: latency counts from the moment at which a
    request was due, so that a stalled server cannot hide its stall (no coordinated omission). Without it the loop is
    closed: `concurrency` requests concurrently, each followed by the next.
    """

    transport: str
    targets: list[str]
    source: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 64
    warm_up: float = 1.0
    seconds: float = 5.0
    rate: float = 0.0
    expected: str = "200"
    tls: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What a run of load came to, its warm-up left out. Latencies are milliseconds by name of percentile."""

    seconds: float
    done: int
    statuses: dict[str, int]
    latency: dict[str, float]
    example: str = ""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.done / self.seconds
