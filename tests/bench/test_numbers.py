"""Percentiles and spreads, by hand-made values."""

import math

import pytest

from bench.numbers import Spread, percentile


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 10.0), (0.2, 10.0), (0.21, 20.0), (0.5, 30.0), (0.9, 50.0), (1.0, 50.0)]
)
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([10.0, 20.0, 30.0, 40.0, 50.0], share) == expected


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


def test_a_spread_keeps_median_and_ends() -> None:
    spread = Spread.of([4.0, 1.0, 3.0])
    assert spread == Spread(median=3.0, least=1.0, greatest=4.0)
    assert spread.width == 1.0


def test_a_spread_about_zero_has_no_width() -> None:
    assert Spread.of([-1.0, 0.0, 1.0]).width == 0.0
