"""Parts are kept running, can be replaced, and cannot outlive the mesh."""

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest

from deploy.local.failures import MeshError
from deploy.local.options import ROOT
from deploy.local.supervisor.process import Process
from deploy.local.supervisor.restarter import Restarter
from deploy.local.supervisor.supervisor import Supervisor
from tests.deploy.conftest import python_part
from tests.servers import until, wait_until

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


async def other_pid(restarter, pid):
    return restarter.pid not in (None, pid)


async def test_what_dies_starts_again(journal):
    restarter = Restarter(python_part(SLEEP), journal, lambda: None)
    await asyncio.sleep(0)
    pid = restarter.pid

    os.kill(pid, signal.SIGKILL)

    await until(lambda: other_pid(restarter, pid), "another process")
    assert restarter.deaths == 1
    await restarter.stop()
    assert restarter.pid is None


async def test_what_dies_again_and_again_waits_longer_each_time(journal, home):
    restarter = Restarter(python_part("import sys; sys.exit('no luck')"), journal, lambda: None)

    async def died():
        return restarter.deaths >= 3

    await until(died, "three deaths")
    await restarter.stop()
    delays = [line.rpartition("again in ")[2] for line in (home.logs / "mesh.log").read_text().splitlines()]
    assert delays[:3] == ["0.1 s", "0.2 s", "0.4 s"]
    assert restarter.log.last == "no luck"


async def test_a_replaced_process_is_stopped_and_counts_as_no_death(journal):
    restarter = Restarter(python_part(SLEEP), journal, lambda: None)
    await asyncio.sleep(0)
    process = restarter.process

    await restarter.replace()

    assert process.code == -signal.SIGTERM
    await until(lambda: other_pid(restarter, process.pid), "another process")
    assert restarter.deaths == 0
    await restarter.stop()


async def test_what_ignores_the_stop_signal_is_killed(journal):
    process = Process(python_part(STUBBORN, stop_grace_s=0.2), journal.log("part"))

    async def up():
        return process.log.last == "up"

    await until(up, "the process to be up")
    await process.stop()

    assert process.code == -signal.SIGKILL


async def test_a_part_that_does_not_start_ends_the_start_with_its_last_line(journal, home):
    supervisor = Supervisor(journal, home.run, lambda *_: "")

    with pytest.raises(MeshError) as caught:
        await supervisor.start([python_part("import sys; sys.exit('the disk is gone')", probe=never)])
    await supervisor.stop()

    assert str(caught.value) == f"part does not start (the disk is gone): see {home.logs / 'part.log'}."


async def never(_: int) -> bool:
    return False


async def test_a_restart_names_the_groups_that_there_are(journal, home):
    supervisor = Supervisor(journal, home.run, lambda *_: "")
    await supervisor.start([python_part(SLEEP, name="mail")])

    with pytest.raises(MeshError, match=r"^There is no part 'mails': say one of mail\.$"):
        await supervisor.restart("mails")
    before = supervisor.pids()["mail"]
    await supervisor.restart("mail")
    await supervisor.stop()

    assert before != []


def test_a_child_dies_with_a_supervisor_that_is_killed():
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from deploy.local.supervisor.journal import Journal, Terminal\nfrom deploy.local.supervisor.process import Process\n"
        "from tests.deploy.conftest import python_part\n"
        "async def main():\n"
        f"    process = Process(python_part({STUBBORN!r}), Journal(Path(sys.argv[1]), Terminal()).log('part'))\n"
        "    print(process.pid, file=sys.stderr, flush=True)\n    await process.ended.wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "/nonexistent"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as parent:  # fmt: skip
        child = psutil.Process(int(parent.stderr.readline()))
        assert child.is_running()

        parent.kill()

        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child's end")


def test_the_init_process_starts_a_killed_supervisor_again_and_leaves_nothing():
    script = (
        "import os, sys, time\nfrom deploy.local.supervisor.init import run\n"
        "def supervise():\n"
        "    orphan = os.fork()\n"
        "    if not orphan:\n        time.sleep(600)\n"
        "    print(os.getpid(), orphan, file=sys.stderr, flush=True)\n    time.sleep(600)\n"
        "sys.exit(run(supervise))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as init:
        first, first_orphan = map(int, init.stderr.readline().split())
        os.kill(first, signal.SIGKILL)
        second, second_orphan = map(int, init.stderr.readline().split())
        assert second != first
        assert not psutil.pid_exists(first_orphan)
        init.send_signal(signal.SIGTERM)
        assert init.wait(20) == 0

        assert not psutil.pid_exists(second)
        assert not psutil.pid_exists(second_orphan)
