"""Runs buf with the plugins of this environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


class Failed(Exception):
    """buf failed or is not installed; the message says which."""


def run(*arguments: str, cwd: Path) -> str:
    """Run `buf …` in `cwd` and return what it printed. Raises `Failed` with its complaint."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    binary = shutil.which("buf", path=environment["PATH"])
    if binary is None:
        raise Failed("buf is not installed: run `make setup` first.")
    done = subprocess.run([binary, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed((done.stdout + done.stderr).strip())
    return done.stdout
