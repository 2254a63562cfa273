"""Alerts, each fired for real by a failure switch of a running mesh against a real Prometheus, with the time that it took.

The rules are those of `deploy/observability`. Two alerts would take more than a quarter of an hour: for them, and only for
them, a second file has the same expression with a shorter `for`. What no switch causes is proven by promtool's cases alone:
`test_what_is_not_fired_here_is_known` names it.
"""

import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import yaml

from chassis.faults.catalogue import FAULTS
from tests.mesh import Mesh
from tests.servers import data_place, wait_until
from tests.soak.alerts.load import Load
from tests.soak.alerts.watch import CUT, Watch
from tests.soak.prometheus import RULES, Prometheus

pytestmark = pytest.mark.soak
PAGE_S = 180.0
"""From a full outage to the page."""
TOO_LONG = {"QueueStalls", "TelemetryIsLost"}
NOT_FIRED = {
    "BooksDiffer",  # needs a provider whose books differ
    "EdgeRefuses",  # needs more open calls than a machine of two cores makes
    "EventsOfProvidersAreForged",  # the local mesh has no provider with events
    "QueueIsLong",  # needs 50,000 jobs
    "ReplicaIsFull",  # needs 205 calls at once
    "ReplicationIsBehind",  # needs a standby
    "RetentionIsBehind",  # needs rows that expire faster than they are deleted
}
RESOLVES = {
    "BreakerOpen", "ClockIsOff", "EdgeGone", "EdgeSeesNoReplica", "FilesAreShort", "MemoryIsShort", "MoneyWaits", "ReplicaDown",
    "RevocationsAreOld", "ServiceGone", "TransactionIsOld",
}  # fmt: skip
"""Those that end soon after their cause; others look at the last ten minutes, or more."""


class Trial:
    """A mesh, its Prometheus, and what was seen."""

    def __init__(self, mesh: Mesh, watch: Watch, load: Load) -> None:
        self._mesh = mesh
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


def cut_rules(folder: Path) -> Path:
    """The rules that take too long, with a shorter `for`."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [
        {**rule, "for": "10s", "labels": {**rule["labels"], CUT: "yes"}}
        for group in groups
        for rule in group["rules"]
        if rule.get("alert") in TOO_LONG
    ]
    file = folder / "cut.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "cut", "rules": rules}]}))
    return file


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with tempfile.TemporaryDirectory(prefix="weft-alerts-", dir=data_place()) as folder:
        Path(folder).chmod(0o711)
        mesh = Mesh(Path(folder) / "home").start()
        prometheus = Prometheus(tmp_path, mesh.content, cut_rules(tmp_path))
        watch = Watch(prometheus)
        try:
            load = Load(mesh.content)
            with load.running():
                yield Trial(mesh, watch, load)
        finally:
            print(f"    all that fired: {sorted(watch.fired)}", flush=True)
            watch.stop()
            prometheus.stop()
            mesh.command("fault", "off", "all")
            mesh.stop()


def test_alerts_fire_and_those_that_end_with_their_cause_resolve(trial: Trial) -> None:
    outage(trial)
    degraded(trial)
    trial.turn(False, "all")
    for name in sorted(RESOLVES):
        wait_until(lambda name=name: not trial.watch.firing(name), f"{name} to resolve", 240)
    fired = {name.partition(",")[0] for name in trial.watch.fired}
    assert {alert for fault in FAULTS.values() for alert in fault.alerts} - fired == set()


def outage(trial: Trial) -> None:
    """Nothing of a service answers, then no edge: somebody is called within three minutes."""
    began = trial.turn(True, "frozen", "order")
    trial.turn(True, "crashes", "notification")
    trial.expect(began, ("ServiceGone", "EdgeSeesNoReplica", "ErrorBudgetBurnsFast", "ErrorBudgetBurns"), PAGE_S)
    trial.expect(began, ("ErrorBudgetBurnsSlowly", "ReplicaRestarts"), PAGE_S)
    trial.turn(False, "frozen", "order")
    trial.turn(False, "crashes")
    began = trial.turn(True, "frozen", "envoy")
    trial.expect(began, ("EdgeGone",), PAGE_S)
    trial.turn(False, "frozen", "envoy")


def degraded(trial: Trial) -> None:
    """Everything else, at the same time where one failure does not hide another."""
    began = time.monotonic()
    for name in (
        "smtp-defers",
        "sms-refused",
        "webhooks-unanswered",
        "revocations-stop",
        "clock-skew",
        "old-transaction",
    ):
        trial.turn(True, name, "notification")
    for name in ("provider-declines", "usage-lost", "memory-leak", "telemetry-lost"):
        trial.turn(True, name, "order")
    for name in ("no-cache", "loop-blocked", "few-files"):
        trial.turn(True, name, "user")
    trial.turn(True, "certificate-ends")
    trial.load.ask_for_texts()
    trial.expect(began, ("UsageIsLost", "ClockIsOff", "BreakerOpen", "TelemetryIsLost"), 300)
    trial.load.ask_for_texts()
    trial.expect(began, ("PaymentsAreDeclined", "JobsAreRetried", "WebhooksFail", "TransactionIsOld"), 420)
    trial.turn(False, "provider-declines")
    trial.turn(False, "smtp-defers")
    stopped = trial.turn(True, "outbox-stops", "order")
    stalled = trial.turn(True, "queue-stalls", "order")
    trial.turn(True, "slow-database", "order")
    trial.turn(True, "jobs-die", "notification")
    trial.expect(began, ("RevocationsAreOld", "JobsDie", "DeliveriesFail", "EventLoopLags", "FilesAreShort"), 600)
    frozen = trial.turn(True, "frozen", "notification")
    trial.expect(stalled, ("MoneyWaits", "DatabasePoolIsShort"), 600)
    trial.turn(False, "slow-database")
    trial.expect(began, ("MemoryIsShort", "CertificateEnds", "CertificateEndsSoon"), 900)
    trial.expect(stalled, ("CallsAreSlow",), 900)
    trial.expect(frozen, ("ReplicaDown",), 420)
    trial.expect(stopped, ("QueueStalls",), 900)


def test_what_is_not_fired_here_is_known() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    of_switches = {alert for fault in FAULTS.values() for alert in fault.alerts}
    also = {"ErrorBudgetBurns", "ErrorBudgetBurnsSlowly"}
    assert alerts - of_switches - also == NOT_FIRED
