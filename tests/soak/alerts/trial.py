"""A mesh that is made to fail, a real Prometheus, callers, and what was seen of alerts."""

import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tests.mesh import Mesh
from tests.servers import data_place, wait_until
from tests.soak.alerts.load import Load
from tests.soak.alerts.watch import CUT, Watch
from tests.soak.prometheus import RULES, Prometheus

OF_CROWDS = {
    "BooksDiffer", "EdgeRefuses", "EventsOfProvidersAreForged", "QueueIsLong", "ReplicaIsFull", "ReplicationIsBehind",
    "RetentionIsBehind",
}  # fmt: skip


class Trial:
    """A mesh, its Prometheus, and what was seen."""

    def __init__(self, mesh: Mesh, watch: Watch, load: Load) -> None:
        self._mesh = mesh
        self.edge: str = mesh.content["edge"]
        self.load = load
        self.watch = watch
        self.took: dict[str, float] = {}

    def turn(self, on: bool, name: str, *parts: str) -> float:
        """Turn a switch on or off; when."""
        done = self._mesh.command("fault", "on" if on else "off", name, *parts)
        assert done.returncode == 0, done.stderr
        return time.monotonic()

    def expect(self, since: float, names: Collection[str], seconds: float) -> None:
        """Wait for alerts, and note the time from `since`."""
        self.watch.wait_for(names, since, seconds)
        for name in names:
            self.took[name] = (self.watch.first(name, since) or 0) - since
            print(f"    {name:<24} fired {self.took[name]:4.0f} s after its cause", flush=True)

    def expect_end(self, names: Collection[str], seconds: float) -> None:
        """Wait until none of these fires any more."""
        for name in sorted(names):
            wait_until(lambda name=name: not self.watch.firing(name), f"{name} to resolve", seconds)
            print(f"    {name:<24} resolved", flush=True)


@contextmanager
def under_way(folder: Path, too_long: Collection[str], env: Mapping[str, str] | None = None) -> Iterator[Trial]:
    """A trial, with callers; of alerts that are `too_long` pending there is a second rule."""
    with tempfile.TemporaryDirectory(prefix="weft-alerts-", dir=data_place()) as home, ExitStack() as stack:
        Path(home).chmod(0o711)
        mesh = Mesh(Path(home) / "home", env).start()
        stack.callback(mesh.stop)
        prometheus = Prometheus(folder, mesh.content, _cut_rules(folder, too_long))
        stack.callback(prometheus.stop)
        stack.callback(mesh.command, "fault", "off", "all")
        watch = Watch(prometheus)
        stack.callback(watch.stop)
        stack.callback(lambda: print(f"    all that fired: {sorted(watch.fired)}", flush=True))
        load = Load(mesh.content)
        with load.running():
            yield Trial(mesh, watch, load)


def _cut_rules(folder: Path, too_long: Collection[str]) -> Path:
    """The rules that take too long, with a shorter `for`."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [
        {**rule, "for": "10s", "labels": {**rule["labels"], CUT: "yes"}}
        for group in groups
        for rule in group["rules"]
        if rule.get("alert") in too_long
    ]
    file = folder / "cut.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "cut", "rules": rules}]}))
    return file
