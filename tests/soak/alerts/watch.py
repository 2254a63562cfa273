"""Which alerts fire, since when, and until when."""

import threading
import time
from collections.abc import Collection
from functools import partial
from typing import Any

from tests.servers import wait_until
from tests.soak.prometheus import Prometheus

INTERVAL_S = 1.0
CUT = "cut"
"""The label of alerts whose `for` was cut: those that fire only after more than ten minutes."""


class Watch:
    """Asks Prometheus every second."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._firing: dict[tuple[str, bool], dict[str, Any]] = {}
        self.fired: dict[str, list[float]] = {}
        """Every time that an alert began to fire, by name (monotonic); those with a cut `for` end in `, cut`."""
        self.resolved: dict[str, list[float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join(10)

    def firing(self, name: str) -> bool:
        """Whether an alert fires now, as it is or cut."""
        return any(known == name for known, _ in self._firing)

    def wait_for(self, names: Collection[str], since: float, seconds: float) -> None:
        """Wait until each has been seen to fire after `since`, some `seconds` after that at most."""
        for name in names:
            left = since + seconds - time.monotonic()
            wait_until(partial(self._has_fired, name, since), f"{name} to fire", max(1.0, left))

    def _has_fired(self, name: str, since: float) -> bool:
        return self.first(name, since) is not None

    def first(self, name: str, since: float) -> float | None:
        """When an alert was first seen to fire after `since`; None where it was not. One that fires all the time counts."""
        times = [at for at in (*self.fired.get(name, ()), *self.fired.get(f"{name}, {CUT}", ())) if at >= since]
        return min(times, default=None)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            now = time.monotonic()
            found = {}
            for one in self._prometheus.get("alerts")["alerts"]:
                if one["state"] == "firing":
                    found[one["labels"]["alertname"], CUT in one["labels"]] = one
            for key in found.keys() - self._firing.keys():
                self.fired.setdefault(_name(*key), []).append(now)
            for key in self._firing.keys() - found.keys():
                self.resolved.setdefault(_name(*key), []).append(now)
            self._firing = found


def _name(alert: str, cut: bool) -> str:
    return f"{alert}, {CUT}" if cut else alert
