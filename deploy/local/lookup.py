"""`trace ID`: everything that is kept about a request id, a trace id or a resource's id.

Two passes: what names the id itself, and what belongs to the traces and requests that the first pass found. Works on
the files alone, so also after the mesh has ended.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from deploy.local.demo import trace_tree
from deploy.local.failures import MeshError
from deploy.local.state.home import Home

MAX_TRACES = 20
"""Traces that are shown, the newest ones: a resource may be in many."""
MAX_LINES = 500
_ID = re.compile(r"[A-Za-z0-9_.:~-]{6,200}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_REQUEST_KEYS = ("request_id", "weft.request_id", "guid:x-request-id")

Line = tuple[str, str, dict[str, Any]]
"""When, which part, and what it wrote."""


def show(home: Home, wanted: str) -> None:
    """Print what is found. Raises `MeshError` where nothing is."""
    if found := _TRACEPARENT.fullmatch(wanted):
        wanted = found[1]
    if not _ID.fullmatch(wanted):
        raise MeshError(f"{wanted[:50]!r} is no id: give a request id, a trace id, or the id of an order or the like.")
    print(f"looking in {home.logs} and {home.traces} …", flush=True)
    traces = set(_traces_with(home.traces, {wanted}))
    first = list(_lines_with(home.logs, {wanted}))
    ids = {wanted, *traces, *_related(content for _, _, content in first)}
    ids |= _related(span["attributes"] for trace in traces for span in trace_tree.read(home.traces, trace).spans)
    lines = first if ids == {wanted} else list(_lines_with(home.logs, ids))
    traces |= {trace for trace in ids if _TRACE_ID.fullmatch(trace) and (home.traces / f"{trace}.jsonl").exists()}
    if not lines and not traces:
        raise MeshError(
            f"Nothing about {wanted} is kept in {home.folder}: traces and logs hold the newest only, and a call that was "
            "not sampled, or whose spans go elsewhere, has no trace here."
        )
    _print_lines(lines)
    _print_traces(home.traces, traces)


def _related(contents: Iterable[dict[str, Any]]) -> set[str]:
    """Trace and request ids that are in the same entry as the id."""
    found = set()
    for content in contents:
        for key in ("trace_id", *_REQUEST_KEYS):
            value = content.get(key)
            if isinstance(value, str) and _ID.fullmatch(value):
                found.add(value)
    return found


def _traces_with(folder: Path, ids: set[str]) -> Iterator[str]:
    for file in folder.glob("*.jsonl"):
        try:
            if file.stem in ids or any(f'"{wanted}"' in file.read_text() for wanted in ids):
                yield file.stem
        except FileNotFoundError:
            continue  # the receiver keeps the newest only


def _lines_with(folder: Path, ids: set[str]) -> Iterator[Line]:
    pattern = re.compile("|".join(rf"(?<![\w-]){re.escape(wanted)}(?![\w-])" for wanted in sorted(ids)).encode())
    for file in sorted((*folder.glob("*.log"), *folder.glob("*.log.1"))):
        part = file.name.partition(".log")[0]
        with file.open("rb") as stream:
            for raw in stream:
                if pattern.search(raw):
                    yield _read(part, raw.decode(errors="replace").strip())


def _read(part: str, text: str) -> Line:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return "", part, {"event": text}
    return str(content.pop("timestamp", None) or content.pop("time", "")), part, content


def _print_lines(lines: list[Line]) -> None:
    ordered = sorted(lines, key=lambda line: line[0])
    calls = [line for line in ordered if line[1].startswith("access-")]
    others = [line for line in ordered if not line[1].startswith("access-")]
    for title, chosen in ((f"calls at the edge: {len(calls)}", calls), (f"log lines: {len(others)}", others)):
        print(f"\n{title}")
        if len(chosen) > MAX_LINES:
            print(f"  (the newest {MAX_LINES})")
        for time, part, content in chosen[-MAX_LINES:]:
            print(f"  {time:<28}{part:<16}{_format(part, content)}")


def _format(part: str, content: dict[str, Any]) -> str:
    if part.startswith("access-"):
        shown = {key: content.get(key) for key in ("method", "path", "status", "grpc_status", "duration_ms", "details")}
        ids = [f"{key}={content.get(key)}" for key in ("request_id", "trace_id")]
        return " ".join([*map(str, shown.values()), *ids])
    event = content.pop("event", "")
    rest = {key: value for key, value in content.items() if key not in ("service", "part")}
    return f"{event}  {' '.join(f'{key}={value}' for key, value in rest.items())}".rstrip()


def _print_traces(folder: Path, traces: set[str]) -> None:
    found = [trace for trace in (trace_tree.read(folder, trace_id) for trace_id in traces) if trace.spans]
    found.sort(key=lambda trace: trace.spans[0]["start"])
    if len(found) > MAX_TRACES:
        print(f"\n{len(found)} traces, of which the newest {MAX_TRACES}:")
    for trace in found[-MAX_TRACES:]:
        print(f"\ntrace {trace.trace_id}: {len(trace.spans)} spans")
        for line in trace.lines():
            print(f"  {line}")
