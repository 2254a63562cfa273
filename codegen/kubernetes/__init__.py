"""Writes `deploy/k8s/base`, and parts of components: what Kubernetes runs of every service in the contract, and who may reach whom.

The other files of components, and the overlays, are written by hand.
"""

from pathlib import Path
from typing import Any

import yaml

from codegen.kubernetes import certificates, edge, jobs, limits, network, postgres, secrets, workloads
from contract import Contract

FOLDER = Path("deploy") / "k8s"
_HEAD = "# Written by `make gen` from the contract (codegen/kubernetes).\n"
Json = dict[str, Any]


def generate(contract: Contract, root: Path) -> None:
    """Write the base, and what components derive from the contract, into the tree."""
    made = files(contract)
    for path in (root / FOLDER / "base").glob("*.yaml"):
        if f"base/{path.name}" not in made:
            path.unlink()
    for name, objects in made.items():
        (root / FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        text = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=140)
        (root / FOLDER / name).write_text(_HEAD + text)


def files(contract: Contract) -> dict[str, list[Json]]:
    """The objects of each file, by its path."""
    names = [package.split(".")[1] for package in contract.packages]
    base: dict[str, list[Json]] = {"settings.yaml": [workloads.settings(names)]}
    for package, name in zip(contract.packages, names, strict=True):
        base[f"{name}.yaml"] = workloads.service(name, _longest_call(contract, package))
        base[f"{name}-migrate.yaml"] = [jobs.once(name, "migrate")]
    first = secrets.FIRST_SERVICE
    base[f"{first}-bootstrap.yaml"] = [jobs.once(first, "bootstrap")]
    base["edge.yaml"] = edge.objects(max(method.deadline for method in contract.methods))
    base["certificates.yaml"] = certificates.objects(names)
    base["limits.yaml"] = limits.objects(names)
    base["network.yaml"] = network.policies(contract, names)
    base["kustomization.yaml"] = [_kustomization(sorted(base))]
    return {
        **{f"base/{name}": objects for name, objects in base.items()},
        "components/external-secrets/secrets.yaml": secrets.external(names),
        "components/optional-secrets/secrets.yaml": secrets.optional(names),
        "components/development-data/secrets.yaml": secrets.development(names),
        "components/development-data/databases.yaml": [secrets.databases(names)],
        "components/cloudnative-pg/postgres.yaml": postgres.objects(names),
    }


def _longest_call(contract: Contract, package: str) -> float:
    """Seconds that a call may take which is not a stream; streams are told to come again."""
    return max(m.deadline for m in contract.methods if m.package == package and not m.server_streaming)


def _kustomization(resources: list[str]) -> Json:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "labels": [{"pairs": {"app.kubernetes.io/part-of": "weft"}, "includeTemplates": True}],
        "resources": resources,
    }


class _Dumper(yaml.SafeDumper):
    """Writes out what is said twice, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is the library's
        return True
