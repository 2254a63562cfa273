"""Orders to a running mesh: a file in `WEFT_HOME/control`, then SIGHUP to the supervisor, which answers beside it.

Beside the order `<name>.order` come `<name>.told`, a line for each thing that was done, and in the end `<name>.answer`.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.failures import MeshFault, said
from deploy.local.running import Running
from deploy.local.state.certificates import Certificates
from deploy.local.state.home import Home, write_json
from deploy.local.state.journal import Journal
from deploy.local.supervisor.supervisor import Supervisor

SETTLE = 8.0
"""Seconds for every part to trust a new authority before certificates come from it; parts look at least every 5 s."""
PATIENCE = 600.0
Tell = Callable[[str], None]


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
            with contextlib.suppress(OSError):
                file.unlink()  # of a mesh before
        while True:
            await called.wait()
            called.clear()
            for file in sorted(self._folder.glob("*.order")):
                await self._answer(file)

    async def _answer(self, file: Path) -> None:
        def tell(line: str) -> None:
            self._journal.tell(line)
            with contextlib.suppress(OSError), file.with_suffix(".told").open("a") as told:
                told.write(f"{line}\n")

        fault = ""
        try:
            await self._carry_out(_take(file), tell)
        except MeshFault as error:
            fault = str(error)
        except OSError as error:
            fault = said(error, self._folder)
        except (ValueError, KeyError) as error:
            fault = f"The order could not be understood ({error}): is this tree the one that the mesh runs?"
        with contextlib.suppress(OSError):
            write_json(file.with_suffix(".answer"), {"fault": fault})

    async def _carry_out(self, order: dict[str, str], tell: Tell) -> None:
        if order["verb"] == "restart":
            await self._supervisor.restart(order["group"], tell)
        elif order["what"] == "certificates":
            self._certificates.renew()
            tell(
                "Every certificate was issued anew; each part takes its own within five seconds, and no call is dropped."
            )
        else:
            await self._rotate_authority(order["now"] == "True", tell)

    async def _rotate_authority(self, now: bool, tell: Tell) -> None:
        certificates = self._certificates
        if not certificates.pending:
            certificates.introduce()
            tell(
                f"A new authority is in {certificates.ca} beside the present one: give the file to all who hold a copy."
            )
        if not now:
            tell(
                f"Certificates come from it on {certificates.adoption:%Y-%m-%d}, or as soon as you say "
                "`rotate --authority --now`; a copy of ca.crt from before then ends."
            )
            return
        left = SETTLE - (datetime.now(UTC) - certificates.introduction).total_seconds()
        if left > 0:
            tell(f"Waiting {left:.0f} s until every part trusts it …")
            await asyncio.sleep(left)
        certificates.adopt()
        certificates.renew()
        tell(
            "Every certificate comes from the new authority now; copies of ca.crt from before it was in there have ended."
        )
        tell(f"The one before is trusted until {certificates.retirement:%Y-%m-%d}, or until the next rotation.")


def _take(file: Path) -> dict[str, str]:
    order: dict[str, str] = json.loads(file.read_text())
    file.unlink()
    return order


def give(mesh: Running, **order: str) -> None:
    """Give an order to the mesh, show what it does, and wait until it is carried out. Raises `MeshFault`."""
    home = mesh.home
    file = home.control / f"{time.time_ns()}-{uuid.uuid4().hex}.order"
    answer, told = file.with_suffix(".answer"), file.with_suffix(".told")
    write_json(file, order)
    ends, shown = time.monotonic() + PATIENCE, 0
    try:
        os.kill(mesh.pid, signal.SIGHUP)
        while not answer.exists():
            if time.monotonic() > ends:
                raise MeshFault(f"The mesh has not answered for {PATIENCE:.0f} s: see {home.logs / 'mesh.log'}.")
            os.kill(mesh.pid, 0)
            shown = _show(told, shown)
            time.sleep(0.05)
    except ProcessLookupError:
        raise MeshFault("The mesh has stopped: start it with `make run`.") from None
    except PermissionError:
        raise MeshFault(f"The mesh (process {mesh.pid}) is another user's: only they, or root, may do this.") from None
    _show(told, shown)
    fault = json.loads(answer.read_text())["fault"]
    answer.unlink()
    told.unlink(missing_ok=True)
    if fault:
        raise MeshFault(fault)


def _show(told: Path, shown: int) -> int:
    """Print the lines that came since; how many there are."""
    if not told.exists():
        return shown
    whole = told.read_text().rpartition("\n")[0]
    lines = whole.splitlines() if whole else []
    for line in lines[shown:]:
        print(line, flush=True)
    return len(lines)
