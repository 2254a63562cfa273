"""Imports what parts share, then forks a part for each request: `python -m deploy.local.forking.server DESCRIPTOR`.

That is libraries, and of this tree what every service imports, but nothing of a service. A part that is restarted has the sources as
they are then: where any of those has changed, the part is executed by its command. None may start a thread when it is imported,
as gRPC does not. Requests and replies are JSON over the socket that is this descriptor; it ends with it.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

Sources = Mapping[str, int]
"""When each file was modified, as it was imported; in nanoseconds, and 0 where it may have been since."""
_LIBRARIES = (
    "aiohttp.web", "cryptography.x509", "grpc.aio", "grpc_health.v1.health_pb2_grpc", "grpc_reflection.v1alpha.reflection_pb2_grpc",
    "jinja2", "joserfc.jwt", "langcodes", "opentelemetry.sdk.trace.export", "opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc",
    "prometheus_client", "protovalidate", "psutil", "psycopg_pool", "pydantic_settings", "redis.asyncio", "sqlalchemy.dialects.postgresql",
    "structlog", "uvloop", "webauthn",
)  # fmt: skip
MAX_REQUEST_BYTES = 1 << 18
_PR_SET_NAME = 15


def main(descriptor: int) -> tuple[str, list[str]] | None:
    """Serve until the supervisor's end of the socket is closed; in a child, return what it is to run."""
    gc.disable()
    for name in _LIBRARIES:
        with contextlib.suppress(ModuleNotFoundError):  # it is only slower without
            importlib.import_module(name)
    sources = _import_ours()
    gc.collect()
    gc.freeze()
    requests = socket.socket(fileno=descriptor)
    try:
        requests.send(b"{}")
        return _serve(requests, sources)
    except ConnectionError:  # the supervisor has ended, and has not read everything
        return None


def _import_ours() -> Sources:
    began, before = time.time_ns(), set(sys.modules)
    files = []
    with contextlib.suppress(Exception):  # the parts say what is wrong
        importlib.import_module("chassis.process")
        contract = importlib.import_module("contract")
        contract.load(contract.SERVED)
        files.append(str(contract.SERVED))
    files += [file for name in sys.modules.keys() - before if (file := getattr(sys.modules[name], "__file__", None))]
    return {file: modified if (modified := _modified(file)) < began else 0 for file in files}


def _modified(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return -1


def _serve(requests: socket.socket, sources: Sources) -> tuple[str, list[str]] | None:
    while True:
        content, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 1)
        if not content:
            return None
        request = json.loads(content)
        if "wait" in request:
            requests.send(json.dumps({"code": _wait(request["wait"])}).encode())
            continue
        parent, child = os.getpid(), os.fork()
        if child == 0:
            requests.close()
            _become(request, descriptors[0], parent)
            if any(_modified(file) != modified for file, modified in sources.items()):
                command = (sys.executable, "-m", request["module"], *request["arguments"])
                os.execve(command[0], command, request["env"])  # noqa: S606 - there is nothing for a shell to do
            gc.enable()
            return request["module"], request["arguments"]
        os.close(descriptors[0])
        requests.send(json.dumps({"pid": child}).encode())


def _wait(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _become(request: dict[str, Any], output: int, parent: int) -> None:
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, request["name"].encode()[:15], 0, 0, 0)
    libc.prctl(1, int(request["orphan_signal"]), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    _show_environment(request["env"])


def _show_environment(env: dict[str, str]) -> None:
    """Put it where the kernel shows it, `/proc/…/environ` (proc(5)): nothing else refers to that memory once it was cleared."""
    with open("/proc/self/stat") as file:
        start, end = (int(field) for field in file.read().rpartition(")")[2].split()[47:49])
    content = b"\0".join(os.fsencode(f"{name}={value}") for name, value in env.items()) + b"\0"
    if start and len(content) <= end - start:
        ctypes.memmove(start, content.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if task := main(int(sys.argv[1])):
        module, sys.argv[1:] = task
        runpy.run_module(module, run_name="__main__", alter_sys=True)
