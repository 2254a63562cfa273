"""Who may connect to whom, and what is scraped, in `deploy/k8s`."""

import re

import yaml

from chassis.telemetry.tracing import QUEUE_LAG
from codegen.kubernetes import pods, workloads
from deploy.checks import manifests
from deploy.local.options import ROOT
from tests.deploy.kubernetes.objects import of_kind


def test_only_declared_callers_may_connect() -> None:
    base = manifests.of_overlay(manifests.FOLDER / "base")
    policies = {found["metadata"]["name"]: found["spec"] for found in of_kind(base, "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    names = {"user": {"edge", "user", "order", "notification"}, "order": {"edge", "order", "user"}}
    names["notification"] = {"edge", "notification", "user", "order"}
    for callee, callers in names.items():
        (calls,) = (rule for rule in policies[callee]["ingress"] if {"port": workloads.PORT} in rule["ports"])
        assert {peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in calls["from"]} == callers
        for caller in callers:  # both sides must allow a connection
            (out,) = (rule for rule in policies[caller]["egress"] if {"port": workloads.PORT} in rule["ports"])
            assert {"podSelector": {"matchLabels": pods.labels(callee)}} in out["to"]
    inside = [rule for name in names for rule in policies[name]["ingress"] if {"port": pods.PROBES} in rule["ports"]]
    assert all(
        rule["from"] == [{"namespaceSelector": {"matchLabels": {"weft.dev/monitoring": "true"}}}] for rule in inside
    )
    assert policies["edge"]["ingress"][0] == {"ports": [{"port": 8443}]}
    for name in names:  # what runs once logs to the same collector
        assert any({"port": 4317} in rule["ports"] for rule in policies[f"{name}-once"]["egress"])


def test_names_and_the_internet_are_reached_as_clusters_differ() -> None:
    base = manifests.of_overlay(manifests.FOLDER / "base")
    policies = {found["metadata"]["name"]: found["spec"] for found in of_kind(base, "NetworkPolicy")}
    for name, policy in policies.items():
        for rule in policy.get("egress", ())[:1]:  # names come first: of pods in kube-system, or of the node's cache
            assert [port["port"] for port in rule["ports"]] == [53, 53], name
            assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in rule["to"], name
    webhooks = policies["notification"]["egress"][-1]
    assert webhooks["ports"] == [{"port": 1, "endPort": 65535}]  # the port is part of an address that a partner chooses
    assert [peer["ipBlock"]["cidr"] for peer in webhooks["to"]] == ["0.0.0.0/0", "::/0"]


def test_what_is_scraped_has_the_labels_that_rules_ask_for() -> None:
    rules = (manifests.FOLDER / "components" / "monitoring" / "rules.yaml").read_text()
    asked = set(re.findall(r'\bjob="([^"]+)"', rules))
    monitors = of_kind(manifests.of_overlay(manifests.FOLDER / "components" / "monitoring"), "PodMonitor")
    steps = [step for found in monitors for step in found["spec"]["podMetricsEndpoints"][0]["relabelings"]]
    assert {step["replacement"] for step in steps if step["targetLabel"] == "job"} == asked
    assert [step["targetLabel"] for step in steps].count("service") == len(monitors)
    compose = yaml.safe_load((ROOT / "deploy" / "observability" / "prometheus.yaml").read_text())
    assert {found["job_name"] for found in compose["scrape_configs"]} == asked


def test_the_age_of_jobs_is_a_metric_that_an_autoscaler_finds() -> None:
    folder = manifests.FOLDER / "components" / "queue-autoscaling"
    (patch,) = yaml.safe_load((folder / "kustomization.yaml").read_text())["patches"]
    asked = yaml.safe_load(patch["patch"])[0]["value"]["pods"]["metric"]["name"]
    (rule,) = yaml.safe_load((folder / "adapter.yaml").read_text())["rules"]["custom"]
    assert re.fullmatch(rule["name"]["matches"], asked)
    assert rule["seriesQuery"].startswith(f"{asked}{{")
    assert asked in {family.name for family in QUEUE_LAG.collect()}
