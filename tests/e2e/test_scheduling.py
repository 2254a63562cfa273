"""How the services' processes share the cores (docs/decisions/0118)."""

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def test_no_thread_of_a_service_interrupts_what_runs(mesh: dict[str, Any]) -> None:
    for service in mesh["services"]:
        for pid in mesh["pids"][service]:
            threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
            assert len(threads) > 3
            assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}
