"""What an image holds does not depend on the checkout that it was built from."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local.options import ROOT


def layer(folder: Path, change: Callable[[Path], None]) -> dict[str, str]:
    """What is left of a tree, with modes, after something about its checkout has changed."""
    (folder / "services/user").mkdir(parents=True)
    (folder / "services/user/handlers.py").write_text("pass")
    (folder / "run.sh").write_text("true")
    (folder / "run.sh").chmod(0o755)
    change(folder)
    subprocess.run([sys.executable, ROOT / "deploy/docker/lean.py", "settle", folder], check=True)
    return {str(path.relative_to(folder)): oct(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


def left_over(folder: Path) -> None:
    """A noun that was removed, of which a program had compiled something."""
    (folder / "services/removed/rules").mkdir(parents=True)


def strict(folder: Path) -> None:
    """Checked out by somebody who shows files to nobody else."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)


def test_modes_and_empty_folders_of_a_checkout_change_nothing(tmp_path: Path) -> None:
    plain = layer(tmp_path / "plain", lambda _: None)
    assert plain["run.sh"].endswith("755") and plain["services/user/handlers.py"].endswith("644")
    assert layer(tmp_path / "left", left_over) == layer(tmp_path / "strict", strict) == plain


def test_the_image_of_the_edge_has_every_module_that_its_program_imports() -> None:
    of_ours = "[m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('chassis', 'codegen', 'contract', 'deploy')]"
    program = f"import json, sys, deploy.container.edge; print(json.dumps({of_ours}))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    script = (ROOT / "deploy/docker/assemble.sh").read_text()
    copied = [
        name for line in re.findall(r'^ *cp (?:-r )?(.*) "\$(?:edge|home)/.*"$', script, re.M) for name in line.split()
    ]
    for file in map(Path, json.loads(run.stdout)):
        place = file.relative_to(ROOT)
        assert any(place.is_relative_to(name) for name in copied), place
