"""CPU time and memory of processes, from the operating system's accounting (Linux's /proc)."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TICK = 1.0 / os.sysconf("SC_CLK_TCK")

Groups = Mapping[str, Iterable[int]]
"""From a name such as `python` to the roots of its process trees."""


@dataclass(frozen=True)
class Stat:
    """One process: its parent, its own CPU seconds (all threads), and those of children that ended."""

    parent: int
    own: float
    ended: float


def _stat(pid: int) -> Stat | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Stat(parent=int(fields[1]), own=own * TICK, ended=ended * TICK)


def _all() -> dict[int, Stat]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return {pid: stat for pid in pids if (stat := _stat(pid))}


def tree(root: int, known: Mapping[int, Stat] | None = None) -> list[int]:
    """The process and all its descendants that live."""
    known = _all() if known is None else known
    found, grown = [root] if root in known else [], True
    members = set(found)
    while grown:
        children = [pid for pid, stat in known.items() if stat.parent in members and pid not in members]
        members.update(children)
        found += children
        grown = bool(children)
    return found


def cpu(groups: Groups) -> dict[str, float]:
    """CPU seconds so far of each group: its process trees, with the children that they have reaped.

    PostgreSQL is its postmaster's tree: a back end that ends is counted in its parent's `cutime`.
    """
    known = _all()
    spent = {}
    for name, roots in groups.items():
        members = {pid for root in roots for pid in tree(root, known)}
        spent[name] = sum(known[pid].own + known[pid].ended for pid in members)
    return spent


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each group between two readings of `cpu`."""
    return {name: after[name] - before[name] for name in after}


def memory(roots: Iterable[int]) -> float:
    """MiB held by the process trees, shared pages divided among their holders (PSS)."""
    known = _all()
    members = {pid for root in roots for pid in tree(root, known)}
    return sum(_pss(pid) for pid in members) / 1024


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
