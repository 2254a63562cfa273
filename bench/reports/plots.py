"""Plots of the report, as SVG to be put into the page."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.use("svg")
mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "weft", "axes.spines.top": False, "axes.spines.right": False})

COLOURS = {
    "order": "#2a6f97",
    "user": "#61a5c2",
    "notification": "#a9d6e5",
    "python": "#2a6f97",
    "server": "#2a6f97",
    "echo": "#2a6f97",
    "envoy": "#e9a03b",
    "postgres": "#4f772d",
    "valkey": "#b56576",
    "generator": "#c9ced6",
}


def row(found: Mapping[str, Any]) -> str:
    """Requests a second with their spread, and CPU per request by process, of each side."""
    sides = found["sides"]
    names = list(sides)
    figure = Figure(figsize=(10, 0.55 + 0.42 * len(names)), layout="constrained")
    rates, cpu = figure.subplots(1, 2)
    medians = [sides[name]["rate"]["median"] for name in names]
    error = [
        [sides[name]["rate"]["median"] - sides[name]["rate"]["least"] for name in names],
        [sides[name]["rate"]["greatest"] - sides[name]["rate"]["median"] for name in names],
    ]
    rates.barh(names, medians, xerr=error, color="#2a6f97", ecolor="#1c2530", height=0.6)
    rates.set_xlabel("requests/s")
    _stack(cpu, sides, names)
    for axes in (rates, cpu):
        axes.invert_yaxis()
    cpu.set_yticklabels([])
    return _svg(figure)


def _stack(axes: Any, sides: Mapping[str, Any], names: Sequence[str]) -> None:
    groups = list(
        dict.fromkeys(group for name in names for group in sides[name]["cpu_by_process"] if group != "generator")
    )
    left = [0.0] * len(names)
    for group in groups:
        values = [sides[name]["cpu_by_process"].get(group, 0.0) for name in names]
        axes.barh(names, values, left=left, label=group, color=COLOURS.get(group, "#888888"), height=0.6)
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.set_xlabel("µs of CPU per request")
    axes.legend(fontsize=7, frameon=False, ncols=2)


def growth(rows: Sequence[Mapping[str, Any]]) -> str:
    """Orders a second and CPU per order by orders stored, and by replicas; empty where neither was measured."""
    stored = [
        (int(found["name"].removeprefix("stored-")), found)
        for found in rows
        if found["name"].removeprefix("stored-").isdigit() and found["sides"]
    ]
    replicas = next((found for found in rows if found["name"] == "replicas"), None)
    charts = [bool(len(stored) > 1), bool(replicas and len(replicas["sides"]) > 1)]
    if not any(charts):
        return ""
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = iter(figure.subplots(1, sum(charts), squeeze=False)[0])
    if charts[0]:
        _against_few(next(axes), stored)
    if charts[1] and replicas:
        _by_replicas(next(axes), replicas)
    return _svg(figure)


def _against_few(axes: Any, stored: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
    sizes = [size for size, _ in stored]
    for index, label in ((0, "orders/s"), (1, "CPU per order")):
        spreads = [found["ratios"][index]["ratio"] for _, found in stored]
        medians = [spread["median"] for spread in spreads]
        error = [
            [spread["median"] - spread["least"] for spread in spreads],
            [spread["greatest"] - spread["median"] for spread in spreads],
        ]
        axes.errorbar(sizes, medians, yerr=error, marker="o", capsize=3, label=label)
    axes.set_xscale("symlog", linthresh=1000)
    axes.set_xlabel("orders stored")
    axes.set_ylabel("ratio to a table with few")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _by_replicas(axes: Any, found: Mapping[str, Any]) -> None:
    names = list(found["sides"])
    axes.plot(names, [found["sides"][name]["rate"]["median"] for name in names], marker="o", label="orders/s")
    axes.plot(names, [found["sides"][name]["cpu"]["median"] for name in names], marker="s", label="µs of CPU per order")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue().partition("<svg")[1] + out.getvalue().partition("<svg")[2]
