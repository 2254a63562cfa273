"""`deploy/k8s`: settings, rights, ends and connections, in each overlay. `make check-deploy` holds it against Kubernetes' schemas."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from weft_client.target import OPTIONS

import contract
from chassis.settings import Settings
from chassis.telemetry.tracing import QUEUE_LAG
from codegen.kubernetes import pods, workloads
from deploy import release
from deploy.checks import manifests
from deploy.checks.settings import faults, of_overlay
from deploy.local.options import ROOT

OVERLAYS = manifests.overlays()
Json = dict[str, Any]
in_each_overlay = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)


def of_kind(objects: list[Json], *kinds: str) -> list[Json]:
    return [found for found in objects if found["kind"] in kinds]


def quantity(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(m|Mi|Gi)?", text).groups()  # type: ignore[union-attr]
    return float(number) * {None: 1.0, "m": 0.001, "Mi": 2.0**20, "Gi": 2.0**30}[unit]


def pod_of(workload: Json) -> Json:
    found: Json = workload["spec"]["template"]["spec"]
    return found


def test_the_overlays_are_three_and_short() -> None:
    assert [path.name for path in OVERLAYS] == ["development", "production", "staging"]
    texts = [(path / "kustomization.yaml").read_text() for path in OVERLAYS]
    assert max(len(text.splitlines()) for text in texts) <= 60
    images = [yaml.safe_load(text)["images"] for text in texts]
    assert images[0] == images[1] == images[2]


@in_each_overlay
def test_settings_are_known_and_enough(overlay: Path, tmp_path: Path) -> None:
    assert faults(of_overlay(overlay, tmp_path)) == []


STORE, KNOWN = "../../components/external-secrets", "../../components/development-data"
SMS = '        WEFT_SMS_FROM: "+12025550100"\n'


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize(
    ("old", "new", "workloads", "sentence"),
    [
        ("WEFT_ISSUER:", "WEFT_POOLSIZE: '9'\n        WEFT_ISSUER:", 8, "WEFT_POOLSIZE is no setting"),
        ('"https://', '"http://', 8, "WEFT_ISSUER: tokens and passwords cross http:// in the clear"),
        (STORE, KNOWN, 4, "WEFT_DATA_KEYS: everybody knows the key"),
        (STORE, KNOWN, 7, "WEFT_DATABASE_URL: everybody knows the password"),
        (STORE, KNOWN, 7, "WEFT_DATABASE_URL: without sslmode=verify-full"),
        (STORE, KNOWN, 4, "WEFT_REDIS_URL: the password and what is cached"),
        (STORE, KNOWN, 1, "WEFT_OPERATOR_PASSWORD: everybody knows the password"),
        (SMS, "", 1, "notification: WEFT_SMS_FROM: write the number"),
        ('"+12025550100"', '"Weft"', 1, "notification: WEFT_SMS_FROM: write the number"),
        ("Weft <no-reply@", "Weft <no-reply@weft.local>, <", 1, "notification: WEFT_MAIL_FROM: no mail server takes"),
        ("        WEFT_MAIL_FROM", "        WEFT_MAIL_RATE: '1'\n        WEFT_VERSION", 1, "WEFT_MAIL_FROM: no mail server takes"),
    ],
)  # fmt: skip
def test_what_an_environment_may_not_have_is_found(
    environment: str, old: str, new: str, workloads: int, sentence: str, tmp_path: Path
) -> None:
    tree = tmp_path / "k8s"
    shutil.copytree(manifests.FOLDER, tree)
    file = tree / "overlays" / environment / "kustomization.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    found = faults(of_overlay(file.parent, tmp_path / "secrets"))
    assert len([fault for fault in found if sentence in fault]) == workloads, found


@in_each_overlay
def test_a_release_is_the_same_digests_in_each_overlay(overlay: Path, tmp_path: Path) -> None:
    file = tmp_path / "kustomization.yaml"
    shutil.copyfile(overlay / "kustomization.yaml", file)
    digests = {"services": f"sha256:{'a1' * 32}", "edge": f"sha256:{'b2' * 32}"}
    release.write(file, "registry.test", digests, "v1.2.3")
    release.write(file, "registry.test", digests, "v1.2.4-2-g0123456")  # as often as wanted
    read = yaml.safe_load(file.read_text())
    assert {image["newName"]: image["digest"] for image in read["images"]} == {
        f"registry.test/weft/{name}": digest for name, digest in digests.items()
    }
    assert read["configMapGenerator"][0]["literals"] == ["id=a1a1a1a1a1a1", "source=v1.2.4-2-g0123456"]
    with pytest.raises(ValueError, match="names the image weft/web 0 times"):
        release.write(file, "registry.test", {"web": digests["edge"]}, "v1.2.3")


@pytest.mark.parametrize("name", ["staging", "production"])
def test_a_release_asks_for_one_s_own_names_first(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(manifests.FOLDER, tmp_path / "k8s")
    monkeypatch.setattr(manifests, "FOLDER", tmp_path / "k8s")
    overlay = tmp_path / "k8s" / "overlays" / name
    words = [name, "registry.test", f"sha256:{'a1' * 32}", f"sha256:{'b2' * 32}"]
    assert release.main(words) == 1
    said = capsys.readouterr().err
    assert "Issuer weft-public: acme.example" in said
    assert "NetworkPolicy data: databases.example" in said
    assert "Certificate edge-server: weft" in said
    assert (
        "sha256:a1a1" not in (overlay / "kustomization.yaml").read_text()
    )  # so nothing of ours runs where it is applied
    for file in overlay.glob("*.yaml"):
        file.write_text(file.read_text().replace(".example", ".test"))
    assert release.main(words) == 0
    assert "next: kubectl apply --server-side --kustomize" in capsys.readouterr().out


@in_each_overlay
def test_an_edge_leaves_room_for_all_replicas_that_there_may_be(overlay: Path) -> None:
    objects = manifests.of_overlay(overlay)
    (edge,) = (found for found in of_kind(objects, "Deployment") if found["metadata"]["name"] == "edge")
    env = {entry["name"]: entry["value"] for entry in pod_of(edge)["containers"][0]["env"]}
    most = [found["spec"]["maxReplicas"] for found in of_kind(objects, "HorizontalPodAutoscaler")]
    assert int(env["WEFT_EDGE_REPLICAS"]) >= max(most)


@in_each_overlay
def test_pods_have_no_rights_and_find_what_they_mount(overlay: Path) -> None:
    objects = manifests.of_overlay(overlay)
    secrets = set(manifests.secrets(objects))
    secrets |= {found["spec"]["secretName"] for found in of_kind(objects, "Certificate")}
    maps = {found["metadata"]["name"] for found in of_kind(objects, "ConfigMap")}
    for workload in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        pod, name = pod_of(workload), workload["metadata"]["name"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert {"requests", "limits"} <= container["resources"].keys(), name
        for volume in pod["volumes"]:
            assert volume.keys() - {"name"} <= {"secret", "projected", "configMap", "emptyDir"}, name
            assert {source["name"] for source in manifests.mounted(workload, volume["name"])} <= secrets, name
            assert volume.get("configMap", {}).get("name", next(iter(maps))) in maps, name


def test_a_pod_has_longer_than_its_process_may_take() -> None:
    base = manifests.of_overlay(manifests.FOLDER / "base")
    read = contract.load()
    for deployment in of_kind(base, "Deployment"):
        name, pod = deployment["metadata"]["name"], pod_of(deployment)
        (container,) = pod["containers"]
        env = {
            entry["name"]: float(entry["value"])
            for entry in container["env"]
            if entry["name"].endswith(("GRACE", "DRAIN"))
        }
        calls = [  # an edge ends with its streams, a service tells them to come again
            m.deadline
            for m in read.methods
            if name == "edge" or (not m.server_streaming and name == m.package.split(".")[1])
        ]
        grace = pod["terminationGracePeriodSeconds"]
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert max(env.values()) >= max(calls), name
        assert grace >= pause + sum(env.values()) + (0 if name == "edge" else workloads.DRAIN_S), name
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert (
            deployment["spec"]["minReadySeconds"] * 1000 > dict(OPTIONS)["grpc.max_reconnect_backoff_ms"] * 1.2 + 10_000
        )
        assert len(pod["topologySpreadConstraints"]) == 2
    guarded = {
        found["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
        for found in of_kind(base, "PodDisruptionBudget")
    }
    assert guarded == {found["metadata"]["name"] for found in of_kind(base, "Deployment")}


@in_each_overlay
def test_a_migration_has_neither_keys_nor_a_certificate(overlay: Path) -> None:
    objects = manifests.of_overlay(overlay)
    held = manifests.secrets(objects)
    migrations = [job for job in of_kind(objects, "Job") if job["metadata"]["name"].endswith("-migrate-release")]
    assert len(migrations) == 3
    for job in migrations:
        pod = pod_of(job)
        assert [volume["name"] for volume in pod["volumes"]] == ["secrets"]
        (secret,) = manifests.mounted(job, "secrets")
        assert held[secret["name"]].keys() == {"weft_database_url"}
        assert not [entry for entry in pod["containers"][0]["env"] if entry["name"].startswith("WEFT_TLS")]


@in_each_overlay
def test_all_that_an_overlay_may_run_is_within_its_quota_twice(overlay: Path) -> None:
    objects = manifests.of_overlay(overlay)
    (quota,) = of_kind(objects, "ResourceQuota")
    most = {
        found["metadata"]["name"]: found["spec"]["maxReplicas"] + 1
        for found in of_kind(objects, "HorizontalPodAutoscaler")
    }
    need: dict[str, float] = {"pods": 0, "requests.cpu": 0, "requests.memory": 0, "limits.memory": 0}
    for workload in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        count = most.get(workload["metadata"]["name"], workload["spec"].get("replicas", 0) + 1)
        (container,) = pod_of(workload)["containers"]
        need["pods"] += count
        for name in need.keys() - {"pods"}:
            kind, resource = name.split(".")
            need[name] += count * quantity(container["resources"][kind][resource])
    hard = {name: quantity(value) for name, value in quota["spec"]["hard"].items()}
    assert hard.keys() == need.keys()
    assert {name: hard[name] / 2 >= need[name] for name in need} == dict.fromkeys(need, True), (hard, need)


def test_jobs_wait_an_hour_for_a_database_that_comes_late() -> None:
    jobs = of_kind(manifests.of_overlay(manifests.FOLDER / "base"), "Job")
    assert {found["metadata"]["name"] for found in jobs} >= {f"{name}-migrate-release" for name in ("user", "order")}
    for found in jobs:
        assert pod_of(found)["restartPolicy"] == "OnFailure"
        assert sum(min(10 * 2**n, 300) for n in range(found["spec"]["backoffLimit"])) > 3600


def test_edges_are_told_how_many_they_are() -> None:
    for overlay in OVERLAYS:
        (edge,) = (d for d in of_kind(manifests.of_overlay(overlay), "Deployment") if d["metadata"]["name"] == "edge")
        env = {entry["name"]: entry["value"] for entry in pod_of(edge)["containers"][0]["env"]}
        assert env["WEFT_EDGES"] == str(edge["spec"]["replicas"])
        assert not [
            p
            for p in yaml.safe_load((overlay / "kustomization.yaml").read_text())["patches"]
            if "/spec/replicas" in p["patch"]
        ]


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


def test_a_cluster_of_postgresql_is_reached_and_reaches_its_operator() -> None:
    objects = manifests.of_overlay(manifests.FOLDER / "components" / "cloudnative-pg")
    (cluster,), (policy,) = of_kind(objects, "Cluster"), of_kind(objects, "NetworkPolicy")
    spec = policy["spec"]
    assert spec["podSelector"] == {"matchLabels": {"cnpg.io/cluster": cluster["metadata"]["name"]}}
    assert cluster["spec"]["inheritedMetadata"]["labels"] == {"weft.dev/data": "true"}  # what services may connect to
    assert {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "weft"}}} in spec["ingress"][0]["from"]
    assert {"ports": [{"port": 443}, {"port": 6443}]} not in spec["egress"]  # that would be anybody
    reached = {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in spec["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer and "except" not in peer["ipBlock"]
        for port in rule["ports"]
    }
    assert reached >= {("10.0.0.0/8", 443), ("10.0.0.0/8", 6443)}  # without the API no instance becomes the primary
    assert not any(cidr == "169.254.0.0/16" for cidr, _ in reached)
    (outside,) = (rule for rule in spec["egress"] if any("except" in to.get("ipBlock", {}) for to in rule["to"]))
    assert outside["ports"] == [{"port": 443}]


def test_a_cluster_of_postgresql_is_backed_up_and_has_room() -> None:
    objects = manifests.of_overlay(manifests.FOLDER / "components" / "cloudnative-pg")
    (cluster,), (store,), (daily,) = (of_kind(objects, kind) for kind in ("Cluster", "ObjectStore", "ScheduledBackup"))
    (plugin,) = cluster["spec"]["plugins"]
    assert plugin["isWALArchiver"] is True
    assert plugin["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    assert daily["spec"]["cluster"] == {"name": cluster["metadata"]["name"]}
    assert daily["spec"]["pluginConfiguration"]["name"] == plugin["name"]
    assert len(daily["spec"]["schedule"].split()) == 6  # the first are seconds
    assert store["spec"]["retentionPolicy"].endswith("d")
    assert re.fullmatch(r".+:\d+\.\d+-minimal-\w+", cluster["spec"]["imageName"])
    assert {"requests", "limits"} <= cluster["spec"]["resources"].keys()
    pool = Settings.model_fields["pool_size"].default
    most = workloads.MAX_REPLICAS * len(of_kind(objects, "Database")) * (pool + 1)
    assert int(cluster["spec"]["postgresql"]["parameters"]["max_connections"]) > most


def test_an_overlay_with_a_cluster_of_postgresql_names_where_its_backups_go(tmp_path: Path) -> None:
    shutil.copytree(manifests.FOLDER, tmp_path / "k8s")
    file = tmp_path / "k8s" / "overlays" / "production" / "kustomization.yaml"
    file.write_text(file.read_text().replace("components: [", "components: [../../components/cloudnative-pg, "))
    assert "ObjectStore postgres-backups: weft-backups.example" in release.placeholders(file.parent)
    own = """
  - patch: |-
      apiVersion: barmancloud.cnpg.io/v1
      kind: ObjectStore
      metadata: {name: postgres-backups}
      spec: {configuration: {destinationPath: "s3://ours/"}}
"""
    file.write_text(file.read_text().rstrip() + own)
    assert not [left for left in release.placeholders(file.parent) if "ObjectStore" in left]


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
