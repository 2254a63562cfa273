"""Node for the peers that run on it: whether it is here, and its packages."""

import shutil
import subprocess
from pathlib import Path

from bench.stacks.processes import NotReady

OLDEST = 20
INSTALL_SECONDS = 300


def missing() -> str:
    """Why nothing can run on Node here, and what to install; empty where it can."""
    if not (shutil.which("node") and shutil.which("npm")):
        return f"node and npm are not here: install Node {OLDEST} or newer (Debian: apt-get install nodejs npm)."
    found = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(found.removeprefix("v").partition(".")[0]) < OLDEST:
        return f"node is {found}: install Node {OLDEST} or newer."
    return ""


def installed(source: Path, folder: Path) -> Path:
    """Copies the peer to `folder`, and its locked packages beside it, whose install scripts are not run. Raises `NotReady`."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode:
        raise NotReady(f"npm ci failed:\n{done.stderr[-2000:]}")
    return folder
