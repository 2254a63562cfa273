"""Writes what watches a mesh: rules with promtool's cases, dashboards of Grafana, `docs/runbooks.md`.

Prometheus labels what it scrapes with `job` (`weft`, `weft-edge`), `service` and `instance`.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from codegen.observability import catalogue, panels, slo
from codegen.observability.alerts import Alert
from contract import Contract

FOLDER = Path("deploy") / "observability"
MANIFEST = Path("deploy") / "k8s" / "components" / "monitoring" / "rules.yaml"
RUNBOOKS = Path("docs") / "runbooks.md"
Json = dict[str, Any]
_HEAD = "# Written by `make gen` from codegen/observability.\n"
_RUNBOOKS = """# Runbooks

Written by `make gen` from `codegen/observability`. A section for each alert: what it means, where to look, what to do. A **page** is
for somebody who gets up; a **ticket** is for the day. The dashboards are at `/d/weft-<name>` of Grafana.
"""


def generate(contract: Contract, root: Path) -> None:
    """Write everything into the tree."""
    services = [package.split(".")[1] for package in contract.packages]
    alerts = every_alert(services)
    groups = rules(alerts)
    (root / FOLDER / "dashboards").mkdir(parents=True, exist_ok=True)
    _write(root / FOLDER / "rules.yaml", groups)
    _write(root / FOLDER / "rules-test.yaml", cases(alerts))
    _write(root / MANIFEST, _manifest(groups))
    for found in panels.dashboards():
        text = json.dumps(_dashboard(found), indent=1) + "\n"
        (root / FOLDER / "dashboards" / f"{found.name}.json").write_text(text)
    (root / RUNBOOKS).write_text(_RUNBOOKS + "".join(_section(alert) for alert in alerts))


def every_alert(services: list[str]) -> list[Alert]:
    """All alerts: on objectives first."""
    return [*slo.alerts(), *catalogue.alerts(services)]


def rules(alerts: list[Alert]) -> Json:
    """A file of rules for Prometheus."""
    recorded = [{"record": name, "expr": expression} for name, expression in slo.recordings()]
    return {
        "groups": [
            {"name": "weft-objectives", "rules": recorded},
            {"name": "weft-alerts", "rules": [_rule(alert) for alert in alerts]},
        ]
    }


def cases(alerts: list[Alert]) -> Json:
    """The cases of every alert, for `promtool test rules`."""
    return {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "name": f"{alert.name}, case {number}",
                "interval": "1m",
                "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert.name}",alertstate="firing"}})',
                        "eval_time": case.after,
                        **({"exp_samples": [{"labels": "{}", "value": case.fires}]} if case.fires else {}),
                    }
                ],
            }
            for alert in alerts
            for number, case in enumerate(alert.cases, start=1)
        ],
    }


def _rule(alert: Alert) -> Json:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "runbook": f"{RUNBOOKS}#{alert.name.lower()}",
            "dashboard": f"/d/weft-{alert.dashboard}",
        },
    }


def _manifest(groups: Json) -> Json:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "weft"},
        "spec": groups,
    }


def _section(alert: Alert) -> str:
    lasting = "at once" if alert.lasting == "0m" else f"after {alert.lasting}"
    return (
        f"\n## {alert.name}\n\n**{alert.severity.capitalize()}**, {lasting}; dashboard `weft-{alert.dashboard}`.\n\n"
        f"- **It means**: {alert.meaning}\n- **Look at**: {alert.look}\n- **Do**: {alert.act}\n"
    )


def _dashboard(found: panels.Dashboard) -> Json:
    return {
        "uid": f"weft-{found.name}",
        "title": found.title,
        "tags": ["weft"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["weft"], "title": "Weft", "asDropdown": True, "includeVars": False}],
        "panels": [_panel(number, panel) for number, panel in enumerate(found.panels)],
    }


def _panel(number: int, panel: panels.Panel) -> Json:
    source = {"type": "prometheus", "uid": "prometheus"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 5, "showPoints": "never"}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": "A", "datasource": source, "expr": panel.query, "legendFormat": panel.legend, "exemplar": True}
        ],
    }


def _write(file: Path, value: Json) -> None:
    file.write_text(_HEAD + yaml.safe_dump(value, sort_keys=False, width=200, allow_unicode=True))
