"""The table and the page, from fixed data."""

import json
from pathlib import Path

from bench.load.plan import Outcome
from bench.measurements.measure import Sample
from bench.measurements.rows import Comparison, Row
from bench.numbers import Spread
from bench.reports import report

LATENCY = {"p50": 1.0, "p90": 2.0, "p99": 3.0, "p99.9": 4.0, "max": 5.0}
MACHINE = {
    "date": "2026-11-24T00:00:00+00:00", "cores": 2, "processor": "a <fast> one", "memory_gib": 24.0,
    "kernel": "6.1", "python": "3.11.7", "load_before": 0.0, "packages": {"grpcio": "1.85.1"},
}  # fmt: skip


def _sample(rate: float, micros: float, errors: dict[str, int] | None = None) -> Sample:
    outcome = Outcome(seconds=2.0, done=int(rate * 2), statuses={"201": int(rate * 2)}, latency=LATENCY)
    return Sample(outcome, {"order": micros, "generator": 50.0}, errors or {})


def _row(errors: dict[str, int] | None = None) -> Row:
    comparisons = [
        Comparison("orders/s", "weft", "peer", "rate", at_least=4),
        Comparison("CPU", "peer", "weft", "cpu", at_least=4),
        Comparison("order's CPU", "weft", "peer", "cpu:order", at_most=1),
    ]
    row = Row("create", "Create & pay", comparisons=comparisons)
    row.samples = {
        "weft": [_sample(1000, 1000, errors), _sample(900, 1100), _sample(1200, 900)],
        "peer": [_sample(200, 3000), _sample(200, 3300), _sample(300, 3600)],
    }
    return row


def test_ratios_are_taken_round_by_round() -> None:
    assert report.table([_row().as_dict()]) == [
        "create: orders/s       4.50  (4.00 … 5.00)     ≥ 4     yes",
        "create: CPU            3.00  (3.00 … 4.00)     ≥ 4     NO",
        "create: order's CPU    0.33  (0.25 … 0.33)     ≤ 1     yes",
    ]


def test_numbers_with_an_aim_are_in_the_table() -> None:
    row = Row("whole", "The whole order")
    row.numbers = {
        "CPU over its call alone (aim ≤ 2.5)": Spread(2.4, 2.3, 2.6),
        "webhooks/s (aim ≥ 2000)": Spread(1777.0, 1600.0, 1900.0),
        "completed orders/s": Spread(300.0, 290.0, 310.0),
    }
    assert report.table([row.as_dict()]) == [
        "whole: CPU over its call alone    2.40  (2.30 … 2.60)     ≤ 2.5   yes",
        "whole: webhooks/s                1,777  (1,600 … 1,900)   ≥ 2000  NO",
    ]


def test_a_row_with_errors_does_not_count() -> None:
    lines = report.table([_row({"503": 2}).as_dict()])
    assert [line.endswith("does not count: errors") for line in lines] == [True, True, True]


def test_the_generator_is_not_among_the_measured() -> None:
    assert _sample(1000, 700).total() == 700


def test_the_page_and_the_data_are_written(tmp_path: Path) -> None:
    stored = [_grown(size) for size in (0, 1000)]
    rows = [row.as_dict() for row in (_row(), *stored)]
    found = {"machine": MACHINE, "terms": "100% of traces", "rows": rows}
    page, data = report.write(found, tmp_path / "results")
    assert json.loads(data.read_text()) == found
    text = page.read_text()
    assert "a &lt;fast&gt; one" in text
    assert "Create &amp; pay" in text
    assert text.count("<svg") == 4  # three rows and the growth
    assert "class='no'>NO" in text


def _grown(size: int) -> Row:
    row = _row()
    row.name = f"stored-{size}"
    return row
