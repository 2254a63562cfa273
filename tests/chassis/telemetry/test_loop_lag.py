"""The event loop's lag is measured."""

import asyncio
import time

from prometheus_client import REGISTRY

from chassis.telemetry import tracing


def late() -> float:
    """How often the loop came back more than a tenth of a second late."""
    count = REGISTRY.get_sample_value("weft_event_loop_lag_seconds_count") or 0
    soon = REGISTRY.get_sample_value("weft_event_loop_lag_seconds_bucket", {"le": "0.1"}) or 0
    return count - soon


async def test_work_that_keeps_the_loop_busy_shows_in_its_lag() -> None:
    before, watching = late(), asyncio.create_task(tracing.measure_loop())
    await asyncio.sleep(0)
    time.sleep(tracing.LOOP_LAG_INTERVAL_S + 0.2)  # noqa: ASYNC251  # on purpose: nothing else runs meanwhile
    await asyncio.sleep(0.01)
    watching.cancel()
    assert late() == before + 1
