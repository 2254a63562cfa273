"""`fault`: failure switches of a running mesh (docs/faults.md). Each service follows a file of the switches that are on."""

import os
import signal
from collections.abc import Sequence

from chassis.faults import catalogue
from chassis.faults.catalogue import FAULTS, Fault
from deploy.local import control
from deploy.local.failures import MeshError
from deploy.local.running import Running
from deploy.local.state import switch_files
from deploy.local.state.home import write

EDGE = "envoy"


def show(mesh: Running) -> None:
    """Print each switch, where it is on, what it does and what shows it."""
    for fault in FAULTS.values():
        on = [part for part in parts_of(mesh, fault) if fault.name in _on(mesh, part)]
        print(f"{fault.name:<20} {'ON in ' + ', '.join(on) if on else 'off'}")
        print(f"    {fault.does}\n    {fault.dashboard.capitalize()}: {fault.shows}. Fires {', '.join(fault.alerts)}.")


def turn(mesh: Running, on: bool, name: str, parts: Sequence[str]) -> None:
    """Turn a switch on or off in some parts, or in all that have it; `all` is for off. Raises `MeshError`."""
    if name == "all" and not on:
        for fault in FAULTS.values():
            if found := [part for part in parts_of(mesh, fault) if fault.name in _on(mesh, part)]:
                turn(mesh, False, fault.name, found)
        return
    if name not in FAULTS:
        raise MeshError(f"There is no failure switch {name!r}: say one of {', '.join(sorted(FAULTS))}.")
    fault = FAULTS[name]
    having = parts_of(mesh, fault)
    if unknown := sorted(set(parts) - set(having)):
        raise MeshError(f"{unknown[0]} has no switch {name}: say one of {', '.join(having)}, or none for all.")
    if fault.name == catalogue.FROZEN and on and not parts:
        raise MeshError(f"Say which part is to stand still: one of {', '.join(having)}.")
    if fault.name == catalogue.CERTIFICATE_ENDS:
        control.send(mesh, verb="rotate", what="short certificate" if on else "certificates")
    for part in parts or having:
        if fault.name == catalogue.FROZEN:
            _freeze(mesh, part, on)
        now = _on(mesh, part)
        _write(mesh, part, {*now, name} if on else now - {name})
        print(f"{name} is {'on' if on else 'off'} in {part}", flush=True)


def parts_of(mesh: Running, fault: Fault) -> list[str]:
    """The parts of the mesh that have a switch."""
    services = sorted(mesh.content["services"])
    if fault.name == catalogue.FROZEN:
        return [*services, EDGE]
    return [part for part in fault.services if part in (*services, EDGE)] or services


def _freeze(mesh: Running, part: str, on: bool) -> None:
    for pid in mesh.content["pids"][part]:
        os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)


def _on(mesh: Running, part: str) -> set[str]:
    found = switch_files.file(mesh.home.folder, part)
    return set(found.read_text().split()) if found.exists() else set()


def _write(mesh: Running, part: str, names: set[str]) -> None:
    switch_files.folder(mesh.home.folder).mkdir(mode=0o700, exist_ok=True)
    write(switch_files.file(mesh.home.folder, part), "".join(f"{name}\n" for name in sorted(names)))
