"""How long a call may keep a loop busy on the machine that the tests run on."""

import time

MOST_S = 0.05
"""On a machine that counts to a million in `COUNTING_S`, as that did on which the bound was set; on a slower one as much longer."""
COUNTING_S = 0.012
RUNS = 10
"""The quickest counts: other load makes a run only longer."""


def is_short(seconds: float) -> bool:
    """Whether so many seconds of CPU time are within the bound, as fast as this machine is now."""
    return seconds < MOST_S or seconds < MOST_S * _slowness()


def _slowness() -> float:
    least = float("inf")
    for _ in range(RUNS):
        begun = time.thread_time()
        sum(range(1_000_000))
        least = min(least, time.thread_time() - begun)
    return least / COUNTING_S
