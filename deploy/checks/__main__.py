"""`make check-deploy`: holds everything in `deploy/` against the schemas and linters of those who will read it.

Python's tools are locked in `tools.lock`. The others must be installed: kubectl, promtool (Debian: prometheus), docker with
Compose. What is not there is said; with `--strict`, as in CI, it is a fault.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.checks import edge, manifests
from deploy.local.options import ROOT

KUBERNETES = 3
"""How many of the newest versions the manifests must be valid for."""
ALONE = ("cloudnative-pg",)
"""Components that no overlay takes."""
TOOLS = ROOT / ".venv" / "deploy-tools" / "bin"


@dataclass
class Run:
    """What has been checked so far."""

    faults: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    def check(self, title: str, *command: str | Path, env: dict[str, str] | None = None, text: str = "") -> str:
        """Run a tool, with `text` to read; its output. A failure is a fault with what the tool said."""
        program = shutil.which(TOOLS / command[0]) or shutil.which(command[0])
        if program is None:
            self.missing.add(f"{title}: {command[0]} is not here")
            return ""
        print(f"{title} …", flush=True)
        done = subprocess.run(
            [program, *command[1:]],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            input=text,
            env={**os.environ, **(env or {})},
        )
        if done.returncode:
            self.faults.append(f"{title}:\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout


def main(arguments: Sequence[str]) -> int:
    """Exit 1 with every fault."""
    run = Run()
    run.check("Dockerfile", "hadolint", "deploy/docker/Dockerfile")
    run.check("YAML", "yamllint", "--strict", "deploy", ".github", ".yamllint")
    run.check("workflows", "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *_in(".github/workflows"))
    run.check("actions", "check-jsonschema", "--builtin-schema", "vendor.github-actions", *_in(".github/actions/*"))
    run.check("workflows, security", "zizmor", "--offline", "--no-progress", ".github")
    run.check("Compose, schema", "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")
    compose = {"WEFT_STATE": str(ROOT / "deploy"), "WEFT_USER": "10001:10001"}
    command = (
        "compose",
        "--profile",
        "observability",
        "--file",
        "deploy/compose.yaml",
        "config",
        "--quiet",
        "--no-interpolate",
    )
    if _has_compose():
        run.check("Compose", "docker", *command, env=compose)
    else:
        run.missing.add("Compose: docker with Compose is not here")
    with tempfile.TemporaryDirectory() as folder:
        _kubernetes(run, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        run.check("edge", *edge.command(Path(folder)))
    run.check("Prometheus and rules", "promtool", "check", "config", "deploy/observability/prometheus.yaml")
    run.check("rules, cases", "promtool", "test", "rules", "deploy/observability/rules-test.yaml")
    declared = run.check("metrics, declared", sys.executable, "-m", "deploy.checks.metrics")
    run.check("metrics, checked", "promtool", "check", "metrics", text=declared)
    for fault in run.faults:
        print(f"\n{fault}", file=sys.stderr)
    for missing in sorted(run.missing):
        print(f"not checked: {missing}", file=sys.stderr)
    strict = "--strict" in arguments and bool(run.missing)
    return 1 if run.faults or strict else 0


def _kubernetes(run: Run, folder: Path) -> None:
    files = []
    shutil.copytree(manifests.FOLDER, folder / "k8s")
    for name in ALONE:  # as who takes it has it: in an overlay, whose images and patches go through its objects, too
        with_it = folder / "k8s" / "overlays" / name
        shutil.copytree(folder / "k8s" / "overlays" / "production", with_it)
        file = with_it / "kustomization.yaml"
        file.write_text(file.read_text().replace("components: [", f"components: [../../components/{name}, "))
    for overlay in sorted((folder / "k8s" / "overlays").iterdir()):
        built = run.check(f"kustomize, {overlay.name}", "kubectl", "kustomize", overlay)
        if built:
            files.append(folder / f"{overlay.name}.yaml")
            files[-1].write_text(built)
    if files:
        for version in _versions():
            run.check(f"Kubernetes {version}", "kubernetes-validate", "--strict", "--no-warn", "-k", version, *files)


def _versions() -> list[str]:
    """The newest versions whose schemas the validator has."""
    schemas = TOOLS.parent.glob("lib/python*/site-packages/kubernetes_validate/kubernetes-json-schema/v*-local-strict")
    found = {path.name.removeprefix("v").partition("-")[0] for path in schemas}
    return sorted(found, key=lambda name: [int(part) for part in name.split(".")])[-KUBERNETES:]


def _has_compose() -> bool:
    program = shutil.which("docker")
    return bool(program) and not subprocess.call(
        [program or "", "compose", "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _in(folder: str) -> list[Path]:
    return sorted(ROOT.glob(f"{folder}/*.yaml"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
