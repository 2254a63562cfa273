"""Alerts, each fired for real by a failure switch of a running mesh against a real Prometheus, with the time that it took.

The rules are those of `deploy/observability`. Two alerts would take more than a quarter of an hour: for them, and only for
them, a second file has the same expression with a shorter `for`. `test_crowds` has those that need more than a switch.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from chassis.faults.catalogue import FAULTS
from tests.soak.alerts.trial import OF_CROWDS, Trial, under_way
from tests.soak.prometheus import RULES

pytestmark = pytest.mark.soak
PAGE_S = 180.0
"""From a full outage to the page."""
TOO_LONG = {"QueueStalls", "TelemetryIsLost"}
OF_SWITCHES = {alert for fault in FAULTS.values() for alert in fault.alerts}
RESOLVES = {
    "BreakerOpen", "ClockIsOff", "EdgeGone", "EdgeSeesNoReplica", "FilesAreShort", "MemoryIsShort", "MoneyWaits", "ReplicaDown",
    "RevocationsAreOld", "ServiceGone", "TransactionIsOld",
}  # fmt: skip
"""Those that end soon after their cause; others look at the last ten minutes, or more."""


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with under_way(tmp_path, TOO_LONG) as found:
        yield found


def test_alerts_fire_and_those_that_end_with_their_cause_resolve(trial: Trial) -> None:
    outage(trial)
    degraded(trial)
    trial.turn(False, "all")
    trial.expect_end(RESOLVES, 240)
    fired = {name.partition(",")[0] for name in trial.watch.fired}
    assert {alert for fault in FAULTS.values() for alert in fault.alerts} - fired == OF_CROWDS & OF_SWITCHES


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


def test_every_alert_is_fired_by_one_of_the_two_tests() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    also = {"ErrorBudgetBurns", "ErrorBudgetBurnsSlowly"}
    assert alerts == OF_SWITCHES | also | OF_CROWDS
