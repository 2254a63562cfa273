"""Percentiles, medians and spreads."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ascending values that `share` (0 to 1) of them do not exceed (nearest rank); NaN of none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Spread:
    """Several rounds of one number: their median, least and greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    @property
    def width(self) -> float:
        """Greatest less least, as a share of the median; 0 where that is 0."""
        return (self.greatest - self.least) / self.median if self.median else 0.0
