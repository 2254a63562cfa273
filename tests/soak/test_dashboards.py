"""Every panel of every dashboard, and every rule, asked of a real Prometheus that scraped a mesh while callers used it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from codegen.observability import panels
from deploy.local.demo.demo import drive
from deploy.local.demo.scenario import Scenario
from tests.soak.prometheus import RULES, Prometheus

pytestmark = pytest.mark.soak
LOAD_S = 90


@pytest.fixture(scope="module")
def prometheus(mesh: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), mesh)
    try:
        end = time.monotonic() + LOAD_S
        while time.monotonic() < end:
            scenario = Scenario(mesh)
            try:
                drive(scenario)
            finally:
                scenario.close()
        yield started
    finally:
        started.stop()


def test_every_process_is_scraped(prometheus: Prometheus) -> None:
    found = prometheus.get("targets")["activeTargets"]
    assert len(found) == 4
    assert [(one["scrapeUrl"], one["lastError"]) for one in found if one["health"] != "up"] == []


def test_exemplars_lead_to_traces(prometheus: Prometheus) -> None:
    now = time.time()
    found = prometheus.get(
        "query_exemplars", query="rpc_server_call_duration_seconds_bucket", start=str(now - LOAD_S), end=str(now)
    )
    assert {one["seriesLabels"]["service"] for one in found} == {"user", "order", "notification"}
    assert all(len(each["labels"]["trace_id"]) == 32 for one in found for each in one["exemplars"])


def test_no_panel_is_empty(prometheus: Prometheus) -> None:
    empty = []
    for dashboard in panels.dashboards():
        for panel in dashboard.panels:
            query = panel.query.replace("$__rate_interval", "1m")
            if not prometheus.get("query", query=query)["result"]:
                empty.append(f"{dashboard.name}: {panel.title}")
    assert empty == []


def test_every_rule_is_evaluated_and_none_fires_on_a_mesh_that_is_well(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in yaml.safe_load(RULES.read_text())["groups"])
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []
