"""Reads `deploy/k8s` as far as checks need it, without kustomize: objects, and the patches of ConfigMaps."""

from pathlib import Path
from typing import Any

import yaml

from deploy.local.options import ROOT

FOLDER = ROOT / "deploy" / "k8s"
Json = dict[str, Any]


def overlays() -> list[Path]:
    """The overlays' folders."""
    return sorted(path.parent for path in (FOLDER / "overlays").glob("*/kustomization.yaml"))


def of_overlay(folder: Path) -> list[Json]:
    """The objects of a kustomization, with the ConfigMap `weft` as the overlay patches it."""
    read = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[Json] = []
    for name in (*read.get("resources", ()), *read.get("components", ())):
        path = (folder / name).resolve()
        found += of_overlay(path) if path.is_dir() else [one for one in yaml.safe_load_all(path.read_text()) if one]
    for patch in read.get("patches", ()):
        _patch(found, patch.get("target", {}), yaml.safe_load(patch["patch"]))
    return found


def secrets(objects: list[Json]) -> dict[str, dict[str, str]]:
    """What is in each secret, by key: as it is; empty where a reference brings it, or pods take it from where it may be."""
    found: dict[str, dict[str, str]] = {}
    for one in objects:
        if one["kind"] == "Secret":
            found[one["metadata"]["name"]] = one["stringData"]
        elif one["kind"] == "ExternalSecret":
            keys = {entry["secretKey"]: "" for entry in one["spec"].get("data", ())}
            found.setdefault(one["spec"]["target"]["name"], keys)
        elif one["kind"] in ("Deployment", "Job"):
            for source in mounted(one, "secrets"):
                if "items" in source:
                    found[source["name"]] = {item["key"]: "" for item in source["items"]}
    return found


def mounted(workload: Json, volume: str) -> list[Json]:
    """The secrets that a volume of a workload's pods shows: the name of each, and `items` where it shows some keys alone."""
    found = []
    for one in workload["spec"]["template"]["spec"]["volumes"]:
        if one["name"] == volume:
            sources = one.get("projected", {}).get("sources", [one])
            found += [
                {"name": secret.get("secretName"), **secret} for source in sources if (secret := source.get("secret"))
            ]
    return found


def _patch(objects: list[Json], target: Json, patch: Any) -> None:
    for one in objects:
        if one["kind"] != "ConfigMap":
            continue
        if isinstance(patch, dict) and (patch["kind"], patch["metadata"]) == (one["kind"], one["metadata"]):
            one["data"] |= patch["data"]
        elif isinstance(patch, list) and target == {"kind": one["kind"], "name": one["metadata"]["name"]}:
            one["data"] |= {step["path"].removeprefix("/data/"): step["value"] for step in patch}
