"""CPU accounts of real processes."""

import subprocess
import sys

from bench.measurements import accounts

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
NEST = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\nprint('done', flush=True)\nsys.stdin.read()\n"


def test_children_that_ended_count_for_their_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", NEST], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == b"done\n"
        spent = accounts.cpu({"nest": [process.pid]})["nest"]
        process.stdin.close()
    assert spent >= 0.3 - 2 * accounts.TICK  # the kernel counts in ticks


def test_children_that_live_count_for_their_parent() -> None:
    waiting = "import sys; print('up', flush=True); sys.stdin.read()"
    nest = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {waiting!r}])"
    with subprocess.Popen([sys.executable, "-c", nest], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        process.stdout.readline()
        assert len(accounts.tree(process.pid)) == 2
        assert accounts.memory([process.pid]) > 5
        process.stdin.close()


def test_a_process_that_is_gone_costs_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert accounts.cpu({"gone": [process.pid]}) == {"gone": 0.0}


def test_the_difference_of_two_readings_is_what_was_spent() -> None:
    assert accounts.spent({"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 2.0}) == {"a": 0.5, "b": 0.0}
