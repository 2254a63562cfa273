"""Writes `docs/faults.md`: every failure switch, from `chassis.faults.catalogue`."""

from pathlib import Path

from chassis.faults.catalogue import FAULTS, Fault
from contract import Contract

FILE = Path("docs") / "faults.md"
_HEAD = """# Failure switches

Written by `make gen` from `chassis/faults/catalogue.py`. Each makes something go wrong on purpose, so that dashboards, alerts and
[runbooks](runbooks.md) are tried before the night. In a mesh of `make run`, while it runs:

    .venv/bin/python -m deploy.local fault                          # lists them, and says which are on
    .venv/bin/python -m deploy.local fault on slow-database order   # in one service; without a name in each that has it
    .venv/bin/python -m deploy.local fault off all

Most show only while calls come: `make demo LOOP=1` in another terminal makes some. A process elsewhere has those of `WEFT_FAULTS`, and those that the file of `WEFT_FAULTS_FILE` names at the moment. An unknown name is
refused. Production refuses to start with a switch that `WEFT_FAULTS_ALLOWED` does not name. A mesh starts with all of them off.
`make soak` turns them on against a real Prometheus, and waits for the alerts (`tests/soak/alerts`).

| switch | where | what it does | what shows it | alerts |
|---|---|---|---|---|
"""


def generate(_: Contract, root: Path) -> None:
    """Write the document into the tree."""
    (root / FILE).write_text(_HEAD + "".join(map(_row, FAULTS.values())))


def _row(fault: Fault) -> str:
    where = ", ".join(fault.services) or "each service"
    alerts = ", ".join(f"[{name}](runbooks.md#{name.lower()})" for name in fault.alerts)
    shows = f"{fault.dashboard.capitalize()}: {fault.shows}"
    return f"| `{fault.name}` | {where} | {fault.does} | {shows} | {alerts} |\n"
