"""The table on the terminal, and the report as HTML and JSON."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.reports import plots

Report = Mapping[str, Any]
"""`machine`, `terms` (what all sides had in common) and `rows` as `Row.as_dict` gives them."""

_AIM = re.compile(r" \(aim ([≤≥] [\d.]+)\)$")
"""At the end of a number's name, where there is one."""


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every ratio and every number with an aim on a line: its median, least and greatest, its aim, and whether that was met."""
    found = [(row, ratio) for row in rows for ratio in (*row["ratios"], *_aimed_at(row["numbers"]))]
    width = max((len(_name(row, ratio)) for row, ratio in found), default=0)
    lines = []
    for row, ratio in found:
        spread = ratio["ratio"]
        most = 0 if spread["greatest"] >= 100 else 2  # decimals
        seen = f"{spread['median']:6,.{most}f}  ({spread['least']:,.{most}f} … {spread['greatest']:,.{most}f})"
        lines.append(f"{_name(row, ratio):<{width}}  {seen:<24}  {ratio['aim']:<7} {_verdict(row, ratio)}".rstrip())
    return lines


def _aimed_at(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The numbers whose names have an aim, as ratios are."""
    found = []
    for name, spread in numbers.items():
        if aim := _AIM.search(name):
            sign, bound = aim[1].split()
            holds = spread["median"] >= float(bound) if sign == "≥" else spread["median"] <= float(bound)
            found.append({"name": name[: aim.start()], "aim": aim[1], "ratio": spread, "holds": holds})
    return found


def _name(row: Mapping[str, Any], ratio: Mapping[str, Any]) -> str:
    return f"{row['name']}: {ratio['name']}"


def _verdict(row: Mapping[str, Any], ratio: Mapping[str, Any]) -> str:
    if row["errors"]:
        return "does not count: errors"
    return {True: "yes", False: "NO", None: ""}[ratio["holds"]]


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Writes `report.html` and `report.json`: their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "report.html", folder / "report.json"
    data.write_text(json.dumps(report, indent=1) + "\n")
    page.write_text(render(report))
    return page, data


def render(report: Report) -> str:
    """The report as one page without outside parts."""
    machine, rows = report["machine"], report["rows"]
    facts = " · ".join(
        [
            machine["date"],
            f"{machine['cores']} × {machine['processor']}",
            f"{machine['memory_gib']} GiB",
            f"Linux {machine['kernel']}",
            f"Python {machine['python']}",
        ]
    )
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Weft bench</title>",
        f"<style>{_STYLE}</style><h1>Weft bench</h1>",
        f"<p>{_text(facts)}<br>{_text(versions)}<br>{_text(report['terms'])}</p>",
        "<h2>Ratios</h2>",
        _ratios(rows),
    ]
    for row in rows:
        parts.append(f"<h2 id={row['name']}>{_text(row['title'])}</h2>")
        if row["note"]:
            parts.append(f"<p>{_text(row['note'])}</p>")
        if row["errors"]:
            parts.append(f"<p class=no>Errors, so the row does not count: {_text(str(row['errors']))}</p>")
        parts += [_sides(row), _numbers(row)]
        if row["sides"]:
            parts.append(plots.row(row))
    grown = plots.growth(rows)
    if grown:
        parts += ["<h2>Growth</h2>", grown]
    return "\n".join(filter(None, parts)) + "\n"


def _ratios(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["<table><tr><th>Row<th>Ratio<th>Median<th>Least … greatest<th>Aim<th>Met"]
    for row in rows:
        for ratio in row["ratios"]:
            spread, verdict = ratio["ratio"], _verdict(row, ratio)
            kind = "yes" if verdict == "yes" else "no" if verdict else ""
            lines.append(
                f"<tr><td><a href='#{row['name']}'>{_text(row['name'])}</a><td>{_text(ratio['name'])}"
                f"<td class=n>{spread['median']:.2f}<td class=n>{spread['least']:.2f} … {spread['greatest']:.2f}"
                f"<td class=n>{_text(ratio['aim'])}<td class='{kind}'>{verdict}"
            )
    return "\n".join([*lines, "</table>"])


def _sides(row: Mapping[str, Any]) -> str:
    if not row["sides"]:
        return ""
    head = (
        "<table><tr><th>Side<th>Requests/s<th>Spread<th>CPU µs/request<th>by process<th>p50 ms<th>p90<th>p99<th>p99.9"
    )
    lines = [head]
    for name, side in row["sides"].items():
        rate, latency = side["rate"], side["latency_ms"]
        by_process = ", ".join(f"{group} {micros:,.0f}" for group, micros in side["cpu_by_process"].items())
        times = "".join(f"<td class=n>{latency[key]:,.1f}" for key in ("p50", "p90", "p99", "p99.9"))
        lines.append(
            f"<tr><td>{_text(name)}<td class=n>{rate['median']:,.0f}<td class=n>{rate['least']:,.0f} … {rate['greatest']:,.0f}"
            f"<td class=n>{side['cpu']['median']:,.0f}<td>{_text(by_process)}{times}"
        )
    return "\n".join([*lines, "</table>"])


def _numbers(row: Mapping[str, Any]) -> str:
    if not row["numbers"]:
        return ""
    lines = ["<table><tr><th>Number<th>Median<th>Least … greatest"]
    for name, spread in row["numbers"].items():
        lines.append(
            f"<tr><td>{_text(name)}<td class=n>{spread['median']:,.1f}"
            f"<td class=n>{spread['least']:,.1f} … {spread['greatest']:,.1f}"
        )
    return "\n".join([*lines, "</table>"])


def _text(value: str) -> str:
    return html.escape(value)


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #1c2530 }
table { border-collapse: collapse; margin: .7em 0 } th, td { padding: .2em .7em; border-bottom: 1px solid #d8dee6; text-align: left }
.n { text-align: right; font-variant-numeric: tabular-nums } .yes { color: #17703b } .no { color: #b3261e; font-weight: 600 }
svg { max-width: 100%; height: auto }
"""
