"""Orders to a running mesh: a file in `WEFT_HOME/control`, then SIGHUP to the supervisor, which answers beside it."""

import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from pathlib import Path

from deploy.local.certificates import Certificates
from deploy.local.faults import MeshFault
from deploy.local.home import Home, write_json
from deploy.local.journal import Journal
from deploy.local.supervisor import Supervisor

SETTLE = 8.0
"""Seconds for every part to trust a new authority before certificates come from it; parts look at least every 5 s."""
PATIENCE = 600.0


class Control:
    """The mesh's side."""

    def __init__(self, home: Home, supervisor: Supervisor, certificates: Certificates, journal: Journal) -> None:
        self._folder = home.control
        self._supervisor = supervisor
        self._certificates = certificates
        self._journal = journal

    async def serve(self) -> None:
        """Carry out orders, one at a time, until cancelled."""
        called = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, called.set)
        for file in self._folder.glob("*"):
            file.unlink()  # of a mesh before
        while True:
            await called.wait()
            called.clear()
            for file in sorted(self._folder.glob("*.order")):
                await self._answer(file)

    async def _answer(self, file: Path) -> None:
        fault = ""
        try:
            await self._carry_out(_take(file))
        except MeshFault as error:
            fault = str(error)
        except (OSError, ValueError, KeyError) as error:
            fault = f"The order could not be carried out: {error}."
        with contextlib.suppress(OSError):
            write_json(file.with_suffix(".answer"), {"fault": fault})

    async def _carry_out(self, order: dict[str, str]) -> None:
        self._journal.tell(" ".join(order.values()))
        if order["verb"] == "restart":
            await self._supervisor.restart(order["group"])
        elif order["verb"] == "rotate":
            if order["what"] == "authority":
                self._certificates.replace_authority()
                await asyncio.sleep(SETTLE)
            self._certificates.renew()


def _take(file: Path) -> dict[str, str]:
    order: dict[str, str] = json.loads(file.read_text())
    file.unlink()
    return order


def give(home: Home, pid: int, **order: str) -> None:
    """Give an order to the mesh whose supervisor is `pid` and wait until it is carried out. Raises `MeshFault`."""
    name = f"{time.time_ns()}-{uuid.uuid4().hex}"
    answer = home.control / f"{name}.answer"
    write_json(home.control / f"{name}.order", order)
    ends = time.monotonic() + PATIENCE
    try:
        os.kill(pid, signal.SIGHUP)
        while not answer.exists():
            if time.monotonic() > ends:
                raise MeshFault(f"The mesh has not answered for {PATIENCE:.0f} s: see {home.logs / 'mesh.log'}.")
            os.kill(pid, 0)
            time.sleep(0.05)
    except ProcessLookupError:
        raise MeshFault("The mesh has stopped: start it with `make run`.") from None
    fault = json.loads(answer.read_text())["fault"]
    answer.unlink()
    if fault:
        raise MeshFault(fault)
