"""The init process: it holds the terminal, starts the supervisor, and starts it again should it be killed.

Every descendant that loses its parent becomes its child (a subreaper), so that nothing is left when it ends.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable

from deploy.local.supervisor.prctl import adopt_orphans, die_with_parent

MAX_DEATHS_PER_MINUTE = 5
"""Deaths of the supervisor in a minute that end the mesh."""
ORPHAN_GRACE_S = 1.5
"""For orphans to end by themselves, before SIGKILL."""


def run(supervise: Callable[[], int]) -> int:
    """Run `supervise` in a child, again when it is killed; returns its exit code."""
    adopt_orphans()
    foreground = _take_terminal()
    deaths: list[float] = []
    try:
        while True:
            code = _run_once(supervise)
            _end_orphans()
            if code >= 0:
                return code
            deaths = [moment for moment in deaths if time.monotonic() - moment < 60] + [time.monotonic()]
            if len(deaths) >= MAX_DEATHS_PER_MINUTE:
                print(
                    f"The supervisor was killed {MAX_DEATHS_PER_MINUTE} times in a minute: the mesh gives up.",
                    file=sys.stderr,
                )
                return 1
            print(f"The supervisor was ended by {signal.Signals(-code).name}: the mesh starts again.", flush=True)
    finally:
        _give_terminal(foreground)


def _run_once(supervise: Callable[[], int]) -> int:
    """Run the supervisor until it ends. Signals to us are forwarded to it."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        die_with_parent(signal.SIGTERM)
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        code = 1
        with contextlib.suppress(SystemExit):
            code = supervise() if os.getppid() == parent else 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    stopping = False

    def forward(number: int, _: object) -> None:
        nonlocal stopping
        stopping = stopping or number != signal.SIGHUP
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in numbers:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    while True:
        found, status = os.wait()
        if found == child:
            # From here on the pid may be another's.
            for number in numbers:
                signal.signal(number, signal.SIG_IGN)
            code = os.waitstatus_to_exitcode(status)
            return 0 if code < 0 and stopping else code  # asked to end before it could listen


def _end_orphans() -> None:
    """Wait for whatever the supervisor left; end it when it does not end."""
    deadline = time.monotonic() + ORPHAN_GRACE_S
    while True:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            if time.monotonic() > deadline:
                for child in _children():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
            time.sleep(0.02)


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]


def _take_terminal() -> int:
    """Become the terminal's foreground group, so that Ctrl-C reaches us alone: make would call it a failure."""
    with contextlib.suppress(OSError):
        before = os.tcgetpgrp(0)
        if before == os.getpgrp() and os.getpid() != before:
            for number in (signal.SIGTTOU, signal.SIGTSTP):
                signal.signal(number, signal.SIG_IGN)
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            return before
    return 0


def _give_terminal(group: int) -> None:
    if group:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(0, group)
