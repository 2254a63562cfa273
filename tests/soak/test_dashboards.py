"""Every panel of every dashboard, and every rule, asked of a real Prometheus that scraped a mesh while callers used it."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from codegen.observability import panels
from deploy.local.demo.demo import drive
from deploy.local.demo.scenario import Scenario
from deploy.local.options import ROOT
from tests.edge.running import free_ports

pytestmark = pytest.mark.soak
RULES = ROOT / "deploy" / "observability" / "rules.yaml"
LOAD_S = 90


class Prometheus:
    """Debian's, which scrapes a mesh every five seconds."""

    def __init__(self, folder: Path, mesh: dict[str, Any]) -> None:
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        metrics = {
            name: [url.split("/")[2] for url in urls] for name, urls in mesh["metrics"].items() if name != "envoy"
        }
        edges = [url.split("/")[2] for url in mesh["metrics"]["envoy"]]
        weft = [{"targets": targets, "labels": {"service": name}} for name, targets in metrics.items()]
        config = {
            "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": "weft", "static_configs": weft},
                {
                    "job_name": "weft-edge",
                    "metrics_path": "/stats/prometheus",
                    "static_configs": [{"targets": edges, "labels": {"service": "edge"}}],
                },
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        program = shutil.which("prometheus")
        assert program, "install Debian's prometheus"
        self.process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
                "--enable-feature=exemplar-storage",
            ]
        )

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer of the API."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]


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
        started.process.terminate()
        started.process.wait(timeout=20)


def test_every_process_is_scraped(prometheus: Prometheus) -> None:
    found = prometheus.get("targets")["activeTargets"]
    assert len(found) == 4
    assert [(one["scrapeUrl"], one["lastError"]) for one in found if one["health"] != "up"] == []


def test_promtool_finds_no_fault_in_what_services_expose(prometheus: Prometheus, mesh: dict[str, Any]) -> None:
    for url in (url for name, urls in mesh["metrics"].items() if name != "envoy" for url in urls):
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read()
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, b""), url


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
