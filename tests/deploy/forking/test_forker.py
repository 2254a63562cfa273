"""Parts that are forked are processes like those that are executed, and are executed where nothing forks them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local.forking.forker import Forker
from deploy.local.options import ROOT
from deploy.local.supervisor.part import Part
from deploy.local.supervisor.process import Process
from deploy.local.supervisor.python import module, python_environment
from tests.servers import until

SOURCE = """
import os, sys, time
print(sys.argv[1:], os.environ["WEFT_SAID"], "WEFT_UNSAID" in os.environ, os.getcwd() == os.environ["PWD"], "sqlalchemy" in sys.modules, "chassis.app" in sys.modules, flush=True)
if sys.argv[1] == "end":
    sys.exit(7)
time.sleep(600)
"""


class Lines(list[str]):
    """A log."""

    last = ""
    write = list.append


@contextmanager
def modified(file: Path) -> Iterator[None]:
    """A source whose time is another meanwhile."""
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    try:
        yield
    finally:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_parts_are_forked_with_what_is_theirs_and_end_with_it(tmp_path: Path, monkeypatch):
    (tmp_path / "forked_part.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("WEFT_UNSAID", "inherited")
    forker, log = Forker(), Lines()

    def start(word: str) -> Process:
        env = {**python_environment(), "WEFT_SAID": "told", "PWD": str(ROOT)}
        del env["WEFT_UNSAID"]
        return Process(Part(f"part-{word}", "part", module("forked_part", word), env, ROOT, forks=forker), log)

    async def said() -> bool:
        return bool(log)

    forker.begin()
    await forker.ready()
    try:
        assert forker._process is not None
        assert psutil.Process(forker._process.pid).num_threads() == 1  # no library starts one when it is imported
        ended = start("end")
        await ended.ended.wait()
        assert ended.code == 7
        assert "".join(log) == "['end'] told False True True True"

        log.clear()
        with modified(ROOT / "chassis" / "process.py"):
            renewed = start("end")
            await renewed.ended.wait()
        assert renewed.code == 7
        assert psutil.pid_exists(forker._process.pid)
        assert "".join(log) == "['end'] told False True False False"  # with the sources as they are now

        log.clear()
        killed = start("stay")
        await until(said, "the part, forked")
        assert psutil.Process(killed.pid).name() == "part-stay"
        assert psutil.Process(killed.pid).environ()["WEFT_SAID"] == "told"
        assert "WEFT_UNSAID" not in psutil.Process(killed.pid).environ()
        assert os.getpgid(killed.pid) == killed.pid  # its own group, so that what it starts is killed with it
        killed.kill()
        await killed.ended.wait()
        assert killed.code == -signal.SIGKILL

        orphan = start("stay")
        os.kill(forker._process.pid, signal.SIGKILL)
        await orphan.ended.wait()
        assert orphan.code == -signal.SIGKILL

        log.clear()
        executed = start("stay")
        await until(said, "the part, executed")
        assert "".join(log) == "['stay'] told False True False False"
        assert psutil.Process(executed.pid).ppid() == os.getpid()
        executed.kill()
        await executed.ended.wait()
    finally:
        forker.stop()
