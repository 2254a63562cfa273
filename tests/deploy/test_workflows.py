"""`.github/workflows`: what runs there has no more rights than it needs, and is what it was when it was looked at."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.local.options import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_given_by_job_and_actions_are_pinned(file: Path) -> None:
    text = file.read_text()
    read = yaml.safe_load(text)
    assert read["permissions"] == {}
    assert "pull_request_target" not in text
    assert all("permissions" in job and "timeout-minutes" in job for job in read["jobs"].values())
    uses = re.findall(r"uses: (\S+)(.*)", text)
    assert [
        name for name, version in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) or " # v" not in version
    ] == []


def test_ci_runs_what_every_change_is_judged_by_on_each_python() -> None:
    (file,) = (path for path in WORKFLOWS if path.stem == "ci")
    job = yaml.safe_load(file.read_text())["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert job["steps"][-1] == {"run": "bash .ci/run"}
