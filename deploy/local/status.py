"""`status`: each part of the running mesh, its process, how long it has run, whether it serves, and where."""

import asyncio
import os
import time
from typing import Any

from deploy.local.running import Running
from deploy.local.state.home import Home
from deploy.local.supervisor import listening
from deploy.local.supervisor.readiness import answers, listens

ANSWER_TIMEOUT_S = 3.0
"""For a part to answer."""
_TICKS = os.sysconf("SC_CLK_TCK")


def show(mesh: Running) -> int:
    """Print it; 1 where a part does not serve."""
    content = mesh.content
    print(f"mesh in {mesh.home.folder}, process {mesh.pid}, up {_format_duration(_age(mesh.pid))}\n")
    rows = asyncio.run(_rows(mesh.home, content))
    print(f"{'part':<16}{'process':>8}  {'up':<12}{'state':<16}ports")
    for name, pid, state in rows:
        ports = ", ".join(map(str, listening.ports_of(pid))) if pid else ""
        print(f"{name:<16}{pid or '-':>8}  {_format_duration(_age(pid)) if pid else '-':<12}{state:<16}{ports}")
    print(f"\n{content['edge']}  {content['edge_tls']}")
    return 0 if all(state in ("serves", "elsewhere") for _, _, state in rows) else 1


async def _rows(home: Home, content: dict[str, Any]) -> list[tuple[str, int | None, str]]:
    rows: list[tuple[str, int | None, str]] = []
    for group, found in content["pids"].items():
        if group == "mesh":
            continue
        pids = found if isinstance(found, list) else [found]
        if pids == [None]:
            rows.append((group, None, "elsewhere"))
            continue
        expected = len(content["services"].get(group, content["edges"] if group == "envoy" else [0]))
        for number in range(max(expected, len(pids))):
            name = group if not isinstance(found, list) else f"{'edge' if group == 'envoy' else group}-{number + 1}"
            rows.append((name, pids[number] if number < len(pids) else None, ""))
    states = await asyncio.gather(*(_state(home, name, pid, content) for name, pid, _ in rows))
    return [(name, pid, known or state) for (name, pid, known), state in zip(rows, states, strict=True)]


async def _state(home: Home, name: str, pid: int | None, content: dict[str, Any]) -> str:
    if pid is None or not _age(pid):
        return "gone"
    ends = time.monotonic() + ANSWER_TIMEOUT_S
    while not await _serves(home, name, pid, content):
        if time.monotonic() > ends:
            return "does not serve"
        await asyncio.sleep(0.1)
    return "serves"


async def _serves(home: Home, name: str, pid: int, content: dict[str, Any]) -> bool:
    group, _, number = name.rpartition("-")
    if group in content["services"]:
        return await _healthy(content, group, int(number) - 1)
    if group == "edge":
        port = int(content["edges"][int(number) - 1].rpartition(":")[2])
        return await answers((port, "/healthz"))(pid)
    ports = listening.ports_of(pid)
    place = home.sockets / "traces.sock" if name == "traces" else ports[0] if ports else None
    return place is not None and await listens(place)(pid)


async def _healthy(content: dict[str, Any], service: str, index: int) -> bool:
    from deploy.local.supervisor import health_wait  # which brings gRPC along

    internal = content["internal"]
    identity = health_wait.identity(content["ca"], internal["key"], internal["cert"])
    address = content["services"][service][index]
    return await health_wait.serves(address, f"{service}.weft.internal", identity)


def _age(pid: int) -> float:
    """Seconds since a process started."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            started = int(file.read().rpartition(")")[2].split()[19]) / _TICKS
    except OSError:
        return 0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _format_duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if days >= 1:
        return f"{int(days)} d {int(hours % 24)} h"
    if hours >= 1:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(minutes)} min" if minutes >= 1 else f"{int(seconds)} s"
