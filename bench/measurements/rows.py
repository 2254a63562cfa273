"""A row of the table: sides measured in alternating rounds, and the ratios between them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.load.plan import Plan
from bench.measurements.accounts import Groups
from bench.measurements.measure import Sample, run
from bench.numbers import Spread


@dataclass(frozen=True)
class Side:
    """One of those that are compared: what load to put on whom."""

    name: str
    plan: Plan
    groups: Groups
    """Without the load generator's process, which every sample has as `generator`."""


@dataclass(frozen=True)
class Comparison:
    """A ratio of two sides: `over / under` of what `measure` takes from a sample, and what it ought to be."""

    name: str
    over: str
    under: str
    measure: str
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, ratio: float) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if self.at_least is not None:
            return ratio >= self.at_least
        if self.at_most is not None:
            return ratio <= self.at_most
        return None

    @property
    def aim(self) -> str:
        """As the table says it."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else ""


MEASURES: dict[str, Callable[[Sample], float]] = {
    "rate": lambda sample: sample.outcome.rate,
    "cpu": lambda sample: sample.total(),
    "cpu with caller": lambda sample: sample.total() + sample.cpu["generator"],
    "p50": lambda sample: sample.outcome.latency["p50"],
    "p99": lambda sample: sample.outcome.latency["p99"],
}


def take(sample: Sample, measure: str) -> float:
    """A number of a sample: one of `MEASURES`, or `cpu:order` for the microseconds of one group."""
    name, _, group = measure.partition(":")
    return sample.cpu[group] if group else MEASURES[name](sample)


@dataclass
class Row:
    """What a workload found. `numbers` are values that were not taken by load, such as seconds of a start."""

    name: str
    title: str
    note: str = ""
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    numbers: dict[str, Spread] = field(default_factory=dict)

    @property
    def errors(self) -> dict[str, int]:
        """Replies that were not as expected, by side and status; such a row does not count."""
        found: dict[str, int] = {}
        for side, samples in self.samples.items():
            for sample in samples:
                for status, count in sample.errors.items():
                    found[f"{side} {status}"] = found.get(f"{side} {status}", 0) + count
        return found

    def spread(self, side: str, measure: str) -> Spread:
        """A measure of a side over its rounds."""
        return Spread.of([take(sample, measure) for sample in self.samples[side]])

    def ratio(self, comparison: Comparison) -> Spread:
        """The ratio over the rounds: each round's sides ran right after one another."""
        measure = comparison.measure
        pairs = zip(self.samples[comparison.over], self.samples[comparison.under], strict=True)
        return Spread.of([take(over, measure) / max(take(under, measure), 1e-9) for over, under in pairs])

    def cpu(self, side: str) -> dict[str, float]:
        """Microseconds of CPU per request of each group, medians."""
        groups = self.samples[side][0].cpu
        return {group: Spread.of([sample.cpu[group] for sample in self.samples[side]]).median for group in groups}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        sides = {
            side: {
                "rate": asdict(self.spread(side, "rate")),
                "cpu": asdict(self.spread(side, "cpu")),
                "cpu_by_process": self.cpu(side),
                "latency_ms": {
                    name: Spread.of([sample.outcome.latency[name] for sample in samples]).median
                    for name in samples[0].outcome.latency
                },
                "rounds": [{"rate": sample.outcome.rate, "cpu": sample.total()} for sample in samples],
            }
            for side, samples in self.samples.items()
        }
        ratios = [
            {"name": one.name, "aim": one.aim, "ratio": asdict(spread), "holds": one.holds(spread.median)}
            for one in self.comparisons
            for spread in [self.ratio(one)]
        ]
        numbers = {name: asdict(spread) for name, spread in self.numbers.items()}
        return {
            "name": self.name, "title": self.title, "note": self.note, "sides": sides,
            "ratios": ratios, "numbers": numbers, "errors": self.errors,
        }  # fmt: skip


def alternate(sides: Sequence[Side], rounds: int, say: Callable[[str], None]) -> dict[str, list[Sample]]:
    """The sides one after another, `rounds` times, each second round backwards so that drift favours none."""
    samples: dict[str, list[Sample]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else list(reversed(sides)):
            sample = run(side.plan, side.groups)
            samples[side.name].append(sample)
            errors = f"  errors {sample.errors}" if sample.errors else ""
            say(f"{number + 1}/{rounds} {side.name}: {sample.outcome.rate:,.0f}/s, {sample.total():,.0f} µs{errors}")
    return samples
