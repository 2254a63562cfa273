"""Commands of services as processes that need not import what the one before has imported: each is forked from a host.

What a command sees is as after `python -m services.NAME WORDS`: its own environment, words, output and exit code. The
mesh's services are started without a host.
"""

import array
import asyncio
import contextlib
import importlib
import json
import os
import random
import runpy
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.local.options import ROOT


class Host:
    """Runs commands, several at once too."""

    def __init__(self, address: Path) -> None:
        self._address = address

    def run(self, service: str, *words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Its variables are those of this process, and `env`."""
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as host,
        ):
            host.settimeout(60)
            host.connect(str(self._address))
            request = {"service": service, "words": words, "env": {**os.environ, **env}}
            files = array.array("i", [out.fileno(), err.fileno()])
            host.sendmsg([json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
            code = int(host.recv(16))
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess((service, *words), code, *texts)

    async def run_async(self, service: str, *words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """The same, awaited."""
        return await asyncio.to_thread(self.run, service, *words, env=env)


@contextlib.contextmanager
def host(folder: Path) -> Iterator[Host]:
    """A host, until its end."""
    address = folder / "forks.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(address))
        listening.listen(64)
        command = [sys.executable, "-m", "tests.forks", str(listening.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL)
    try:
        yield Host(address)
    finally:
        process.terminate()
        process.wait(10)


def _serve(listening: socket.socket) -> None:
    """Fork for each command a process that waits for it, so that several run at once."""
    while True:
        caller, _ = listening.accept()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        text, files, *_ = socket.recv_fds(caller, 1 << 20, 2)
        request = json.loads(text)
        name = f"services.{request['service']}.__main__"
        importlib.import_module(name)
        sys.modules.pop(name, None)  # it is what runs
        if os.fork() == 0:
            child = os.fork()
            if child == 0:
                listening.close()
                caller.close()
                _become(request, *files)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            caller.send(str(status).encode())
            os._exit(0)
        for file in files:
            os.close(file)
        caller.close()


def _become(request: dict[str, Any], out: int, err: int) -> None:
    """Run the command and end as Python does."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(request["env"])
    random.seed()
    sys.argv = [request["service"], *request["words"]]
    code = 0
    try:
        runpy.run_module(f"services.{request['service']}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
