"""Pods of `deploy/k8s`: rights, mounts, ends and quotas."""

from pathlib import Path

from weft_client.target import OPTIONS

import contract
from codegen.kubernetes import workloads
from deploy.checks import manifests
from tests.deploy.kubernetes.objects import in_each_overlay, of_kind, pod_of, quantity, with_surge


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
            needed = [one for one in manifests.mounted(workload, volume["name"]) if not one.get("optional")]
            assert {source["name"] for source in needed} <= secrets, name
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
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {
            "maxUnavailable": 0,
            "maxSurge": 1 if name == "edge" else "25%",
        }
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
        assert [volume["name"] for volume in pod["volumes"]] == ["secrets", "authority"]
        (authority,) = manifests.mounted(job, "authority")  # of PostgreSQL, and of that the certificate alone
        assert (authority["optional"], [item["key"] for item in authority["items"]]) == (True, ["ca.crt"])
        (secret,) = manifests.mounted(job, "secrets")
        assert held[secret["name"]].keys() == {"weft_database_url"}
        assert not [entry for entry in pod["containers"][0]["env"] if entry["name"].startswith("WEFT_TLS")]


@in_each_overlay
def test_all_that_an_overlay_may_run_is_within_its_quota_twice(overlay: Path) -> None:
    objects = manifests.of_overlay(overlay)
    (quota,) = of_kind(objects, "ResourceQuota")
    most = {
        found["metadata"]["name"]: with_surge(found["spec"]["maxReplicas"])
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
