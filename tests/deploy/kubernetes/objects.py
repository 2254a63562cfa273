"""What tests of manifests ask of objects."""

import re
from math import ceil
from typing import Any

import pytest

from deploy.checks import manifests

OVERLAYS = manifests.overlays()
Json = dict[str, Any]
in_each_overlay = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)


def of_kind(objects: list[Json], *kinds: str) -> list[Json]:
    """Those of these kinds."""
    return [found for found in objects if found["kind"] in kinds]


def quantity(text: str) -> float:
    """A quantity of Kubernetes, such as `250m` or `1Gi`, as a number."""
    number, unit = re.fullmatch(r"(\d+)(m|Mi|Gi)?", text).groups()  # type: ignore[union-attr]
    return float(number) * {None: 1.0, "m": 0.001, "Mi": 2.0**20, "Gi": 2.0**30}[unit]


def pod_of(workload: Json) -> Json:
    """The specification of its pods."""
    found: Json = workload["spec"]["template"]["spec"]
    return found


def with_surge(replicas: int) -> int:
    """So many replicas of a service, and those that a release has beside them."""
    (surge,) = {
        found["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        for found in of_kind(manifests.of_overlay(manifests.FOLDER / "base"), "Deployment")
        if found["metadata"]["name"] != "edge"
    }
    return replicas + ceil(replicas * int(surge.removesuffix("%")) / 100)
