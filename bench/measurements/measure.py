"""One run of load against running processes, with their CPU accounts."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from bench.load.plan import Outcome, Plan
from bench.measurements import accounts
from bench.measurements.accounts import Groups
from bench.stacks.processes import ROOT, SOURCES


class LoadFailed(Exception):
    """The load generator ended without an outcome."""


@dataclass(frozen=True)
class Sample:
    """An outcome, and microseconds of CPU per request of each group of processes (`generator` included)."""

    outcome: Outcome
    cpu: dict[str, float]
    errors: dict[str, int]

    def total(self, *leave_out: str) -> float:
        """Microseconds of CPU per request in all measured processes, the generator left out."""
        return sum(value for name, value in self.cpu.items() if name != "generator" and name not in leave_out)


def run(plan: Plan, groups: Groups) -> Sample:
    """Runs the load in a process of its own. Raises `LoadFailed`."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, SOURCES))}
    generator = subprocess.Popen(
        [sys.executable, "-m", "bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=env,
    )
    assert generator.stdin and generator.stdout
    watched = {**groups, "generator": [generator.pid]}
    readings = []
    outcome = None
    try:
        generator.stdin.write(json.dumps(plan.as_dict()))
        generator.stdin.close()
        for line in generator.stdout:
            if line.strip() in ("begin", "end"):
                readings.append(accounts.cpu(watched))
            else:
                outcome = Outcome(**json.loads(line))
    except BaseException:
        generator.kill()
        raise
    finally:
        failed = generator.wait()
        generator.stdout.close()
    if failed or outcome is None:
        raise LoadFailed(f"The load generator failed against {plan.targets}.")
    spent = accounts.spent(*readings)
    done = max(outcome.done, 1)
    cpu = {name: seconds / done * 1e6 for name, seconds in spent.items()}
    errors = {status: count for status, count in outcome.statuses.items() if status not in plan.expected.split()}
    return Sample(outcome, cpu, errors)
