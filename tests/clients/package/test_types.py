"""What users' editors and type checkers see: every call as it is, and wrong ones refused."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import contract
from tests.clients.package import usage

ROOT = Path(__file__).resolve().parents[3]


def _checked(folder: Path, program: str) -> list[dict[str, Any]]:
    """What pyright, as strict as it can be, says of a program that uses what the wheel carries."""
    (folder / "program.py").write_text(program)
    sources = [str(ROOT / "clients" / "python" / part) for part in ("src", "stubs")]
    settings = {"typeCheckingMode": "strict", "extraPaths": sources, "pythonVersion": "3.11", "include": ["program.py"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(folder), "--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    found: list[dict[str, Any]] = json.loads(done.stdout)["generalDiagnostics"]
    return found


def test_a_program_that_uses_everything_is_accepted(tmp_path: Path) -> None:
    program = usage.right(contract.load())
    said = [
        f"{program.splitlines()[found['range']['start']['line']]}: {found['message']}"
        for found in _checked(tmp_path, program)
    ]
    assert said == [], "\n".join(said)


def test_each_wrong_use_is_refused(tmp_path: Path) -> None:
    wrong = {number for number, line in enumerate(usage.WRONG.splitlines()) if re.search("# wrong: ", line)}
    assert {found["range"]["start"]["line"] for found in _checked(tmp_path, usage.WRONG)} == wrong
