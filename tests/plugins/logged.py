"""A pytest plugin: what was logged during a test.

A failing test shows the lines of this process and of every mesh it can see: those of the request ids that the failure
names, those of their traces, warnings and errors, and the last ones. A test fails where a service in its own process
logged an error that it did not announce (`@pytest.mark.logs_errors("job_dead")`); the run fails where a service of the
shared mesh did.
"""

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from chassis.telemetry import logs
from tests.mesh import PLACE, homes

TAIL = 25
"""Lines of each source that a failing test shows, beside those that are to the point."""
_REQUEST = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_SERVICE = re.compile(r"(order|user|notification)-\d+\.log(\.1)?")
_here: list[dict[str, Any]] = []
_sizes = pytest.StashKey[dict[Path, int]]()
_unexpected = pytest.StashKey[list[str]]()


def _keep(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    _here.append(dict(event))
    return event


class _Libraries(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        event = {"event": record.getMessage(), "level": record.levelname.lower(), "part": record.name}
        if record.exc_info:
            event["exception"] = logging.Formatter().formatException(record.exc_info)
        _here.append(logs.add_call(None, "", event))


def pytest_configure(config: pytest.Config) -> None:
    """Keep what services in this process log, and what their libraries do."""
    config.addinivalue_line("markers", "logs_errors(*events): services log these events as errors in this test")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            logs.add_call,
            structlog.processors.format_exc_info,
            _keep,
            structlog.processors.JSONRenderer(default=repr),
        ]
    )
    logging.getLogger().addHandler(_Libraries(logging.WARNING))


def _files() -> Iterator[Path]:
    for home in homes():
        yield from sorted((home / "logs").glob("*.log"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember how far each log has come."""
    _here.clear()
    item.stash[_sizes] = {file: file.stat().st_size for file in _files()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add to a failure what was logged; turn an error that nobody announced into one."""
    report = yield
    if report.failed and _sizes in item.stash:
        sought = set(_REQUEST.findall(str(report.longrepr)))
        report.sections.append(("what was logged during the test", "\n".join(_shown(item, sought))))
    if call.when == "teardown" and report.passed:
        announced = {event for marker in item.iter_markers("logs_errors") for event in marker.args}
        found = [line for line in _here if _is_error(line) and line["event"] not in announced]
        if found:
            report.outcome = "failed"
            report.longrepr = "a service logged an error:\n" + "\n".join(_text(line) for line in found[:5])
    return report


def _is_error(line: dict[str, Any]) -> bool:
    if line.get("level") not in ("error", "critical"):
        return False
    # Servers of the tests' own leave tasks behind; those of a service are named by where they run.
    return line.get("part") != "asyncio" or "services/" in str(line)


def _shown(item: pytest.Item, sought: set[str]) -> Iterator[str]:
    """Of each source the lines to the point, and the last ones."""
    sizes = item.stash[_sizes]
    sources = [("this process", [dict(line) for line in _here])]
    for file in _files():
        raw = file.read_bytes()[sizes.get(file, 0) :].decode(errors="replace")
        sources.append((f"{file.parents[1].name}/{file.name}", [_parsed(line) for line in raw.splitlines()]))
    traces = {line["trace_id"] for _, lines in sources for line in lines if "trace_id" in line and _names(line, sought)}
    for name, lines in sources:
        last = lines[-TAIL:]
        point = [line for line in lines[:-TAIL] if _names(line, sought | traces) or _is_trouble(line)]
        if last:
            yield f"--- {name}"
            yield from map(_text, [*point[-TAIL:], *last])


def _names(line: dict[str, Any], sought: Iterable[str]) -> bool:
    text = json.dumps(line, default=repr) if sought else ""
    return any(one in text for one in sought)


def _is_trouble(line: dict[str, Any]) -> bool:
    return line.get("level") in ("warning", "error", "critical")


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"event": line}


def _text(line: dict[str, Any]) -> str:
    return line["event"] if set(line) == {"event"} else json.dumps(line, default=repr)


def errors_of(home: Path) -> list[str]:
    """The lines that the services of a mesh logged as errors."""
    files = (file for file in sorted((home / "logs").glob("*")) if _SERVICE.fullmatch(file.name))
    lines = (line for file in files for line in file.read_text(errors="replace").splitlines())
    return [line for line in lines if _is_error(_parsed(line))]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge the shared mesh, in the process that ends it, before it is gone."""
    place = os.environ.get(PLACE, "")
    if hasattr(session.config, "workerinput") or not place:
        return
    session.config.stash[_unexpected] = found = errors_of(Path(place) / "home")
    if found and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the shared mesh logged."""
    found = config.stash.get(_unexpected, [])
    if found:
        terminalreporter.section("services of the shared mesh logged errors", red=True)
        for line in found[:20]:
            terminalreporter.write_line(line[:2000])
