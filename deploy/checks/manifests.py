"""Reads `deploy/k8s` as far as checks need it, without kustomize: objects, and the patches of overlays and components."""

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
    """The objects of a kustomization, as it patches them; images are not named."""
    read = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[Json] = []
    for name in read.get("resources", ()):
        path = (folder / name).resolve()
        found += of_overlay(path) if path.is_dir() else [one for one in yaml.safe_load_all(path.read_text()) if one]
    for name in read.get("components", ()):
        _take(found, (folder / name).resolve())
    _patches(found, folder, read)
    return found


def _take(found: list[Json], component: Path) -> None:
    """Add what a component has, and let it patch what there is."""
    read = yaml.safe_load((component / "kustomization.yaml").read_text())
    for name in read.get("resources", ()):
        found += [one for one in yaml.safe_load_all((component / name).read_text()) if one]
    _patches(found, component, read)


def _patches(found: list[Json], folder: Path, read: Json) -> None:
    for patch in read.get("patches", ()):
        text = patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text()
        for one in yaml.safe_load_all(text):
            _patch(found, patch.get("target", {}), one)


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
        name = {"kind": one["kind"], "name": one["metadata"]["name"]}
        if isinstance(patch, dict):
            if name == {"kind": patch["kind"], "name": patch["metadata"]["name"]}:
                _merge(one, patch)
        elif target.items() <= name.items():
            for step in patch:
                _take_step(one, step)


def _merge(into: Json, patch: Json) -> None:
    """What kustomize merges: maps, and lists of what has names; other lists are replaced."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif (
            isinstance(value, list)
            and key in into
            and all(isinstance(entry, dict) and "name" in entry for entry in value)
        ):
            known = {entry["name"]: entry for entry in into[key]}
            for entry in value:
                if entry["name"] in known:
                    _merge(known[entry["name"]], entry)
                else:
                    into[key].append(entry)
        else:
            into[key] = value


def _take_step(one: Json, step: Json) -> None:
    *way, last = step["path"].removeprefix("/").split("/")
    place: Any = one
    for part in way:
        place = place[int(part) if isinstance(place, list) else part]
    if step["op"] == "remove":
        del place[int(last) if isinstance(place, list) else last]
    elif isinstance(place, list) and last == "-":
        place.append(step["value"])
    else:
        place[int(last) if isinstance(place, list) else last] = step["value"]
