"""Whatever dashboards, alerts and documents name, a running mesh has: each metric, and each label that a query selects by."""

import re
import shutil
import subprocess
import urllib.request
from collections import defaultdict
from typing import Any

import pytest
import yaml

from codegen.observability import FOLDER, panels
from deploy.local.demo.demo import drive
from deploy.local.demo.scenario import Scenario
from deploy.local.options import ROOT

pytestmark = pytest.mark.e2e
SCRAPED = {"job", "service", "instance", "le"}
"""Labels that Prometheus adds, or that have a meaning of their own."""


def queries() -> list[str]:
    """Every query of a panel and of a rule."""
    rules = yaml.safe_load((ROOT / FOLDER / "rules.yaml").read_text())["groups"]
    return [panel.query for one in panels.dashboards() for panel in one.panels] + [
        rule["expr"] for group in rules for rule in group["rules"]
    ]


def selected() -> dict[str, set[str]]:
    """The labels by which queries select each metric."""
    found: dict[str, set[str]] = defaultdict(set)
    for query in queries():
        for name, matchers in re.findall(r"\b((?:weft|envoy|rpc|process)_[a-z0-9_]+)(?:\{([^}]*)\}|(?=\[))", query):
            found[name] |= set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers))
    return found


def test_every_metric_and_label_that_a_query_names_exists(mesh: dict[str, Any]) -> None:
    scenario = Scenario(mesh)
    try:
        drive(scenario)
    finally:
        scenario.close()
    instances = []
    promtool = shutil.which("promtool")  # of Debian's prometheus; CI has it
    types: set[str] = set()
    labels: dict[str, set[str]] = defaultdict(set)
    for url in (url for urls in mesh["metrics"].values() for url in urls):
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        if promtool and "envoy_" not in text:
            done = subprocess.run(
                [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout + done.stderr) == (0, ""), url
        types |= {
            f"{name}{more}"
            for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
            for more in ("", "_bucket", "_count", "_sum")
        }
        instances += [
            dict(re.findall(r'(\w+)="(.*?)"', found)) for found in re.findall(r"^target_info{(.*)} 1", text, re.M)
        ]
        for name, found in re.findall(r"^([a-z_:0-9]+)\{(.*)\} \S+$", text, re.MULTILINE):
            labels[name] |= set(re.findall(r"(\w+)=\"", found))
    assert {(one["service_name"], one["deployment_environment_name"]) for one in instances} == {
        (name, "development") for name in mesh["services"]
    }
    assert len({one["service_instance_id"] for one in instances}) == len(instances)
    wanted = selected()
    assert len(wanted) > 25
    assert wanted.keys() - types == set()
    assert {
        name: unknown for name, by in wanted.items() if labels[name] and (unknown := by - labels[name] - SCRAPED)
    } == {}


def test_each_alert_has_a_section_a_dashboard_and_cases_that_fire_and_that_do_not() -> None:
    rules = yaml.safe_load((ROOT / FOLDER / "rules.yaml").read_text())["groups"]
    tests = yaml.safe_load((ROOT / FOLDER / "rules-test.yaml").read_text())["tests"]
    sections = (ROOT / "docs" / "runbooks.md").read_text()
    boards = {one.name for one in panels.dashboards()}
    assert len(boards) == 7
    assert all(0 < len(one.panels) <= panels.MAX_PANELS for one in panels.dashboards())
    assert all(panel.description and panel.unit for one in panels.dashboards() for panel in one.panels)
    for rule in (rule for group in rules for rule in group["rules"] if "alert" in rule):
        assert f"\n## {rule['alert']}\n" in sections
        assert rule["annotations"]["dashboard"].removeprefix("/d/weft-") in boards
        fires = [
            bool(one["promql_expr_test"][0].get("exp_samples"))
            for one in tests
            if one["name"].startswith(f"{rule['alert']},")
        ]
        assert True in fires and False in fires, rule["alert"]
