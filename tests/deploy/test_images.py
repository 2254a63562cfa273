"""The images of others that ours are made of and run beside: exact versions, and what `make pin` makes of them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.options import ROOT

FILES = ("docker/Dockerfile", "compose.yaml", "k8s/components/development-data/servers.yaml")
DIGEST = "sha256:" + "5" * 64
_IMAGE = re.compile(r"(?:^FROM|image:) ([a-z0-9./-]+:[^\s$]+)(?: |$)", re.MULTILINE)


def images(folder: Path) -> list[str]:
    return [image for file in FILES for image in _IMAGE.findall((folder / file).read_text())]


def test_they_have_exact_versions() -> None:
    found = images(ROOT / "deploy")
    assert len(found) == 11
    assert [image for image in found if not re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)*(@|$)", image)] == []


def test_pinning_names_each_by_its_digest_and_keeps_those_that_have_one(tmp_path: Path) -> None:
    for file in ("pin.sh", *FILES):
        (tmp_path / "deploy" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "deploy" / file, tmp_path / "deploy" / file)
    bare = [image.partition("@")[0] for image in images(tmp_path / "deploy")]
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\necho {DIGEST}\n')
    docker.chmod(0o755)
    pin = ("bash", str(tmp_path / "deploy" / "pin.sh"))
    env = {"PATH": f"{docker.parent}:{os.environ['PATH']}"}
    subprocess.run(pin, env=env, check=True)
    pinned = images(tmp_path / "deploy")
    assert [image.partition("@")[0] for image in pinned] == bare
    assert all("@sha256:" in image for image in pinned)
    asked = (tmp_path / "asked").read_text()
    docker.write_text("#!/bin/sh\nexit 1\n")
    subprocess.run(pin, env=env, check=True)  # nothing is left to ask for
    assert images(tmp_path / "deploy") == pinned
    assert asked.count("buildx imagetools inspect") == len(set(bare))
