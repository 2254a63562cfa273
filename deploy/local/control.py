"""Control commands to a running mesh: a file in `WEFT_HOME/control`, then SIGHUP to the supervisor, which answers beside it.

Beside the command `<name>.command` come `<name>.progress`, a line for each thing that was done, and in the end
`<name>.result`.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.failures import MeshError, describe
from deploy.local.running import Running
from deploy.local.state.home import Home, write_json

if TYPE_CHECKING:  # whoever sends a command needs none of it, and would wait most of a second for it
    from deploy.local.components.services import Services
    from deploy.local.state.certificates import Certificates
    from deploy.local.state.credentials import Credentials
    from deploy.local.supervisor.journal import Journal
    from deploy.local.supervisor.supervisor import Supervisor

TRUST_DELAY_S = 8.0
"""Seconds for every part to trust a new authority before certificates come from it; parts look at least every 5 s."""
COMMAND_TIMEOUT_S = 600.0
Report = Callable[[str], None]


class Control:
    """The mesh's side."""

    def __init__(
        self,
        home: Home,
        supervisor: "Supervisor",
        services: "Services",
        secrets: "Credentials",
        names: Sequence[str],
        journal: "Journal",
    ) -> None:
        self._home = home
        self._folder = home.control
        self._supervisor = supervisor
        self._services = services
        self._secrets = secrets
        self._names = names
        self._journal = journal

    async def serve(self) -> None:
        """Carry out commands, one at a time, until cancelled."""
        called = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, called.set)
        for file in self._folder.glob("*"):
            with contextlib.suppress(OSError):
                file.unlink()  # left by an earlier mesh
        while True:
            await called.wait()
            called.clear()
            for file in sorted(self._folder.glob("*.command")):
                await self._answer(file)

    async def _answer(self, file: Path) -> None:
        def report(line: str) -> None:
            self._journal.info(line)
            with contextlib.suppress(OSError), file.with_suffix(".progress").open("a") as progress:
                progress.write(f"{line}\n")

        fault = ""
        try:
            await self._execute(_take(file), report)
        except MeshError as error:
            fault = str(error)
        except OSError as error:
            fault = describe(error, self._folder)
        except (ValueError, KeyError) as error:
            fault = f"The command could not be read ({error}): is this tree the one that the mesh runs?"
        with contextlib.suppress(OSError):
            write_json(file.with_suffix(".result"), {"fault": fault})

    async def _execute(self, command: dict[str, str], report: Report) -> None:
        if command["verb"] == "restart":
            await self._supervisor.restart(command["group"], report)
        elif command["verb"] == "service":
            part = self._services.operation(command["service"], json.loads(command["words"]))
            await self._supervisor.operate(part, report)
        elif command["what"] == "data keys":
            await self._rotate_data_keys(command["service"], report)
        elif command["what"] == "short certificate":
            self._certificates().shorten()
            report("The edge's certificate ends in two days; it takes it within five seconds.")
        elif command["what"] == "certificates":
            self._certificates().renew()
            report(
                "Every certificate was renewed; each part takes its own within five seconds, and no call is dropped."
            )
        else:
            await self._rotate_authority(command["now"] == "True", report)

    def _certificates(self) -> "Certificates":
        from deploy.local.state.certificates import Certificates  # not before someone wants new ones

        return Certificates(self._home.certificates, self._names)

    async def _rotate_data_keys(self, service: str, report: Report) -> None:
        """Every replica can decrypt with the new key before one encrypts with it, so no call is refused."""
        self._services.check(service)
        before = list(self._secrets.data_keys(service))[-1]
        made = self._secrets.add_data_key(self._home.folder / "secrets.json", service)
        report(f"{made} is made; first every process of {service} learns of it …")
        await self._supervisor.restart(service, report, self._services.data_keys(service, encrypt_with=before))
        report("… then they encrypt with it …")
        await self._supervisor.restart(service, report, self._services.data_keys(service, encrypt_with=""))
        report("… and now what is stored is encrypted again:")
        await self._supervisor.operate(self._services.operation(service, ["reencrypt"]), report)

    async def _rotate_authority(self, now: bool, report: Report) -> None:
        certificates = self._certificates()
        if not certificates.pending:
            certificates.introduce()
            report(
                f"A new authority is in {certificates.ca} beside the present one: give the file to all who hold a copy."
            )
        if not now:
            report(
                f"Certificates come from it on {certificates.adoption:%Y-%m-%d}, or as soon as you say "
                "`rotate --authority --now`; a copy of ca.crt from before then ends."
            )
            return
        left = TRUST_DELAY_S - (datetime.now(UTC) - certificates.introduction).total_seconds()
        if left > 0:
            report(f"Waiting {left:.0f} s until every part trusts it …")
            await asyncio.sleep(left)
        certificates.adopt()
        certificates.renew()
        report(
            "Every certificate comes from the new authority now; copies of ca.crt from before it was in there have ended."
        )
        report(f"The one before is trusted until {certificates.retirement:%Y-%m-%d}, or until the next rotation.")


def _take(file: Path) -> dict[str, str]:
    command: dict[str, str] = json.loads(file.read_text())
    file.unlink()
    return command


def send(mesh: Running, **command: str) -> None:
    """Send a command to the mesh, print its progress, and wait until it is carried out. Raises `MeshError`."""
    home = mesh.home
    file = home.control / f"{time.time_ns()}-{uuid.uuid4().hex}.command"
    result, progress = file.with_suffix(".result"), file.with_suffix(".progress")
    write_json(file, command)
    ends, shown = time.monotonic() + COMMAND_TIMEOUT_S, 0
    try:
        os.kill(mesh.pid, signal.SIGHUP)
        while not result.exists():
            if time.monotonic() > ends:
                raise MeshError(
                    f"The mesh has not answered for {COMMAND_TIMEOUT_S:.0f} s: see {home.logs / 'mesh.log'}."
                )
            os.kill(mesh.pid, 0)
            if (now_shown := _show(progress, shown)) != shown:
                ends, shown = time.monotonic() + COMMAND_TIMEOUT_S, now_shown
            time.sleep(0.05)
    except ProcessLookupError:
        raise MeshError("The mesh has stopped: start it with `make run`.") from None
    except PermissionError:
        raise MeshError(f"The mesh (process {mesh.pid}) is another user's: only they, or root, may do this.") from None
    _show(progress, shown)
    fault = json.loads(result.read_text())["fault"]
    result.unlink()
    progress.unlink(missing_ok=True)
    if fault:
        raise MeshError(fault)


def _show(progress: Path, shown: int) -> int:
    """Print the lines that came since; how many there are."""
    if not progress.exists():
        return shown
    whole = progress.read_text().rpartition("\n")[0]
    lines = whole.splitlines() if whole else []
    for line in lines[shown:]:
        print(line, flush=True)
    return len(lines)
