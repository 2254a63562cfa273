"""The alerts: what each asks Prometheus, when it fires, what a person does then, and the cases that prove it."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
PAGE, TICKET = "page", "ticket"
"""Somebody gets up at night; somebody looks during the day."""


@dataclass(frozen=True)
class Case:
    """Series as promtool writes them, and how many alerts fire after so many minutes."""

    series: dict[str, str]
    after: str
    fires: int


@dataclass(frozen=True)
class Alert:
    """An alert. `meaning`, `look` and `act` become its section in `docs/runbooks.md`; `dashboard` is the one to open."""

    name: str
    severity: str
    expression: str
    lasting: str
    summary: str
    meaning: str
    look: str
    act: str
    dashboard: str
    cases: tuple[Case, ...] = field(default=())


def threshold(
    name: str, severity: str, expression: str, lasting: str, summary: str, dashboard: str,
    meaning: str, look: str, act: str, series: str, quiet: str, loud: str, after: str = "30m", others: dict[str, str] | None = None,
) -> Alert:  # fmt: skip
    """An alert on one series: silent with the values `quiet`, and after it has been `loud` and quiet again; fires while it is loud."""
    more = others or {}
    cases = (
        Case({series: loud, **more}, after, 1),
        Case({series: quiet, **more}, after, 0),
        Case({series: f"{loud} {quiet}", **more}, "3h", 0),
    )
    return Alert(name, severity, expression, lasting, summary, meaning, look, act, dashboard, cases)
