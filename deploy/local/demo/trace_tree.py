"""A kept trace as a tree."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Span = dict[str, Any]
"""As the trace receiver writes it."""


@dataclass(frozen=True)
class Trace:
    """The spans of one trace, each once, in the order of their starts."""

    trace_id: str
    spans: list[Span]

    @property
    def roots(self) -> list[Span]:
        """The spans whose parent is not here: one, in a whole trace."""
        known = {span["span_id"] for span in self.spans}
        return [span for span in self.spans if span["parent_span_id"] not in known]

    def children(self, span: Span) -> list[Span]:
        """The spans right below another."""
        return [child for child in self.spans if child["parent_span_id"] == span["span_id"]]

    def walk(self) -> Iterator[tuple[int, Span]]:
        """Every span below the roots with its depth, parents before children."""
        waiting = [(0, root) for root in reversed(self.roots)]
        while waiting:
            depth, span = waiting.pop()
            yield depth, span
            waiting += [(depth + 1, child) for child in reversed(self.children(span))]

    def lines(self) -> list[str]:
        """The tree as text: span and service, when it began after the first and how long it took, in milliseconds."""
        if not self.spans:
            return []
        first = min(span["start"] for span in self.spans)
        return [_line(depth, span, first) for depth, span in self.walk()]


def read(folder: Path, trace_id: str) -> Trace:
    """What has come of a trace so far."""
    once = {span["span_id"]: span for span in _spans(folder / f"{trace_id}.jsonl")}
    return Trace(trace_id, sorted(once.values(), key=lambda span: int(span["start"])))


def _spans(file: Path) -> Iterator[Span]:
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):  # being written, or cut by a kill
            yield json.loads(line)


def _line(depth: int, span: Span, first: int) -> str:
    label = f"{'  ' * depth}{span['service']}: {span['name']}"
    failed = "  failed" if span["status"] == "error" else ""
    return (
        f"{label:<80} +{(span['start'] - first) / 1e6:8.1f} ms  {(span['end'] - span['start']) / 1e6:8.1f} ms{failed}"
    )
