"""`deploy/k8s/overlays`: settings, releases, numbers. `make check-deploy` holds them against the schemas of Kubernetes."""

import shutil
from pathlib import Path

import pytest
import yaml

from deploy import release
from deploy.checks import manifests
from deploy.checks.settings import faults, of_overlay
from tests.deploy.kubernetes.objects import OVERLAYS, in_each_overlay, of_kind, pod_of


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
