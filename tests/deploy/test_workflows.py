"""`.github/workflows`: what runs there has no more rights than it needs, and is what it was when it was looked at."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.local.options import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yaml"))
ENVIRONMENTS = ("development", "staging", "production")


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_given_by_job(file: Path) -> None:
    text = file.read_text()
    read = yaml.safe_load(text)
    assert read["permissions"] == {}
    assert "pull_request_target" not in text
    assert all("permissions" in job and "timeout-minutes" in job for job in read["jobs"].values())


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_actions_are_pinned_and_packages_are_hashed(file: Path) -> None:
    text = file.read_text()
    uses = re.findall(r"uses: (\S+)(.*)", text)
    assert [
        name
        for name, version in uses
        if not name.startswith("$/") and (not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) or " # v" not in version)
    ] == []
    assert re.findall(r"pipx|pip\W+install(?! --require-hashes)", text) == []


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_scripts_are_good_bash_and_take_what_others_say_from_the_environment(file: Path) -> None:
    read = yaml.safe_load(file.read_text())
    jobs = read["jobs"].values() if "jobs" in read else [read["runs"]]
    for step in (step for job in jobs for step in job["steps"] if "run" in step):
        done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
        assert not done.returncode, done.stderr
        assert "${{" not in step["run"]


def test_every_environment_gets_what_was_signed_and_after_the_one_before() -> None:
    (file,) = (path for path in WORKFLOWS if path.stem == "release")
    jobs = yaml.safe_load(file.read_text())["jobs"]
    for before, name in zip(("artefacts", *ENVIRONMENTS), ENVIRONMENTS, strict=False):
        job = jobs[name]
        assert (job["needs"], job["environment"]) == (["images", before], name)
        assert job["steps"][-1]["uses"] == "$/.github/actions/promote"
        assert job["steps"][-1]["with"]["environment"] == name
    (action,) = (path for path in ACTIONS if path.parent.name == "promote")
    script = yaml.safe_load(action.read_text())["runs"]["steps"][-1]["run"]
    assert script.startswith("cosign verify")
    assert script.index("cosign verify") < script.index("deploy.release") < script.index("kubectl apply")


def test_ci_runs_what_every_change_is_judged_by_on_each_python() -> None:
    (file,) = (path for path in WORKFLOWS if path.stem == "ci")
    job = yaml.safe_load(file.read_text())["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert job["steps"][-1] == {"run": "bash .ci/run"}
