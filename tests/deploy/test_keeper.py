"""Parts are kept running, can be replaced, and cannot outlive the mesh."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from deploy.local.failures import MeshFault
from deploy.local.options import ROOT
from deploy.local.supervisor.process import Process
from deploy.local.supervisor.restarter import Keeper
from deploy.local.supervisor.supervisor import Supervisor
from tests.deploy.conftest import python_part
from tests.servers import until, wait_until

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


async def other_pid(keeper, pid):
    return keeper.pid not in (None, pid)


async def test_what_dies_starts_again(journal):
    keeper = Keeper(python_part(SLEEP), journal, lambda: None)
    await asyncio.sleep(0)
    pid = keeper.pid

    os.kill(pid, signal.SIGKILL)

    await until(lambda: other_pid(keeper, pid), "another process")
    assert keeper.deaths == 1
    await keeper.stop()
    assert keeper.pid is None


async def test_what_dies_again_and_again_waits_longer_each_time(journal, home):
    keeper = Keeper(python_part("import sys; sys.exit('no luck')"), journal, lambda: None)

    async def tried():
        return keeper.deaths >= 3

    await until(tried, "three deaths")
    await keeper.stop()
    pauses = [line.rpartition("again in ")[2] for line in (home.logs / "mesh.log").read_text().splitlines()]
    assert pauses[:3] == ["0.1 s", "0.2 s", "0.4 s"]
    assert keeper.log.last == "no luck"


async def test_a_replaced_process_is_ended_softly_and_counts_as_no_death(journal):
    keeper = Keeper(python_part(SLEEP), journal, lambda: None)
    await asyncio.sleep(0)
    process = keeper.process

    await keeper.replace()

    assert process.code == -signal.SIGTERM
    await until(lambda: other_pid(keeper, process.pid), "another process")
    assert keeper.deaths == 0
    await keeper.stop()


async def test_what_does_not_end_is_ended(journal):
    process = Process(python_part(STUBBORN, grace=0.2), journal.log("part"))

    async def up():
        return process.log.last == "up"

    await until(up, "the process to be up")
    await process.stop()

    assert process.code == -signal.SIGKILL


async def test_a_part_that_does_not_start_ends_the_start_with_its_last_words(journal, home):
    supervisor = Supervisor(journal, home.run, lambda *_: "")

    with pytest.raises(MeshFault) as caught:
        await supervisor.start([python_part("import sys; sys.exit('the cellar is flooded')", probe=never)])
    await supervisor.stop()

    assert str(caught.value) == f"part does not start (the cellar is flooded): see {home.logs / 'part.log'}."


async def never(_: int) -> bool:
    return False


async def test_a_restart_names_the_groups_that_there_are(journal, home):
    supervisor = Supervisor(journal, home.run, lambda *_: "")
    await supervisor.start([python_part(SLEEP, name="clock")])

    with pytest.raises(MeshFault, match=r"^There is no part 'sundial': say one of clock\.$"):
        await supervisor.restart("sundial")
    before = supervisor.pids()["clock"]
    await supervisor.restart("clock")
    await supervisor.stop()

    assert before != []


def test_a_child_dies_with_a_supervisor_that_is_killed():
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from deploy.local.state.journal import Journal, Terminal\nfrom deploy.local.supervisor.process import Process\n"
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


def test_the_guardian_starts_a_killed_supervisor_again_and_leaves_nothing():
    script = (
        "import os, sys, time\nfrom deploy.local.supervisor.init import guard\n"
        "def supervise():\n"
        "    orphan = os.fork()\n"
        "    if not orphan:\n        time.sleep(600)\n"
        "    print(os.getpid(), orphan, file=sys.stderr, flush=True)\n    time.sleep(600)\n"
        "sys.exit(guard(supervise))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as guardian:
        first, first_orphan = map(int, guardian.stderr.readline().split())
        os.kill(first, signal.SIGKILL)
        second, second_orphan = map(int, guardian.stderr.readline().split())
        assert second != first
        assert not psutil.pid_exists(first_orphan)
        began = time.monotonic()

        guardian.send_signal(signal.SIGTERM)
        guardian.wait(20)

        assert time.monotonic() - began < 10
        assert not psutil.pid_exists(second)
        assert not psutil.pid_exists(second_orphan)
