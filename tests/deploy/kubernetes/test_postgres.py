"""The component `cloudnative-pg`: who reaches it, its backups and its room."""

import re
import shutil
from pathlib import Path

from chassis.settings import Settings
from codegen.kubernetes import workloads
from deploy import release
from deploy.checks import manifests
from tests.deploy.kubernetes.objects import of_kind, with_surge


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
    most = with_surge(workloads.MAX_REPLICAS) * len(of_kind(objects, "Database")) * (pool + 1)
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
