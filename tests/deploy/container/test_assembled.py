"""What `assemble.sh` puts into an image has every module of ours that its programs load."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.options import ROOT


@pytest.fixture(scope="module")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of each image, laid out by the script's own lines."""
    folder = tmp_path_factory.mktemp("image")
    text = (ROOT / "deploy" / "docker" / "assemble.sh").read_text()
    copying = text[text.index("for image in") : text.index("\npython -m deploy.container.bake")]
    lines = [line for line in copying.replace("/image", str(folder)).splitlines() if "/packages/" not in line]
    subprocess.run(["sh", "-eu", "-c", "\n".join(lines)], cwd=ROOT, check=True)
    return folder


@pytest.mark.parametrize(
    ("image", "program"),
    [
        ("edge", "deploy.container.edge"),
        ("edge", "deploy.container.probe"),
        *(("services", f"services.{name}.__main__") for name in ("user", "order", "notification")),
        ("services", "deploy.container.probe"),
    ],
)
def test_an_image_has_what_its_programs_load(image: str, program: str, assembled: Path) -> None:
    home = assembled / image / "opt" / "weft"
    path = (home, *(home / part for part in ("gen/python", "clients/python/src", "third_party/python")))
    script = f"import sys, {program}; print(*(getattr(m, '__file__', None) for m in list(sys.modules.values())))"
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home, env={"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(map(str, path))},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert re.findall(rf"{re.escape(str(home))}\S+", loaded)
    assert [file for file in loaded.split() if file.startswith(f"{ROOT}/") and "site-packages" not in file] == []
