"""`python -m bench [--quick] [--ratio 1.0] [--out FOLDER] [row …]`: measures, prints the table, writes the report."""

import argparse
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import machine, workloads
from bench.bench import FULL, QUICK, Bench
from bench.measurements.rows import Row
from bench.reports import report

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Runs the asked rows; 0 when all were measured without errors."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Weft beside its peers and its limits.")
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="row",
        help=f"which to measure: {', '.join(workloads.ALL)}; where none is named all but {', '.join(workloads.LARGE)}",
    )
    parser.add_argument("--quick", action="store_true", help="two short rounds of the main rows, in some 5 minutes")
    parser.add_argument("--ratio", type=float, default=1.0, help="share of traces that is sampled, on every side")
    parser.add_argument("--orders", type=int, help="how many `growth` stores: 10,000,000, with --quick 1,000,000")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the report goes")
    asked = parser.parse_args()
    if unknown := set(asked.rows) - workloads.ALL.keys():
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(workloads.ALL)}")
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Every process finds the others' bytecode, wherever and however the packages were installed.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {line}", flush=True)

    described = machine.describe()
    length = QUICK if asked.quick else FULL
    bench = Bench(replace(length, growth=asked.orders or length.growth), asked.ratio, say)
    os.environ["PYTHONPYCACHEPREFIX"] = str(bench.folder / "bytecode")
    rows: list[Row] = []
    failed = []
    try:
        for name in asked.rows or (
            workloads.QUICK if asked.quick else [name for name in workloads.ALL if name not in workloads.LARGE]
        ):
            say(name)
            failure = _measure(bench, name, rows)
            if failure:
                failed.append(failure)
    finally:
        bench.close()
    terms = (
        f"{'Quick' if asked.quick else 'Full'} run: {bench.length.rounds} alternating rounds of {bench.length.seconds:g} s. "
        f"Tracing on everywhere, {asked.ratio:.0%} of traces sampled, to one receiver. fsync on. "
        "The load generator shares the cores: trust CPU per request and ratios."
    )
    found: dict[str, Any] = {"machine": described, "terms": terms, "rows": [row.as_dict() for row in rows]}
    page, _ = report.write(found, asked.out)
    print(
        "\n".join(
            ["", *report.table(found["rows"]), "", f"{time.monotonic() - begun:.0f} s; report: {os.path.relpath(page)}"]
        )
    )
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed or any(row.errors for row in rows) else 0


def _measure(bench: Bench, name: str, rows: list[Row]) -> str:
    """Measures a workload into `rows`; why it failed, or nothing. The other rows go on."""
    try:
        rows.extend(workloads.ALL[name](bench))
    except Exception as error:
        traceback.print_exc()
        return f"{name} was not measured: {type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
