"""`make lint`: every check side by side; all that they find at once, each with its place and what to write."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Check:
    """A command that exits 1 where it finds something, and how its lines become sentences."""

    name: str
    command: tuple[str, ...]
    lines: str = ""
    """Which lines of its output name a file, as the group `file`; all are sentences where empty."""
    sentence: str = ""


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)


_NOT_GENERATED = re.compile(r'"weft\.[\w.]+".*\[(?:import-untyped|import-not-found|attr-defined)\]$')
_FORMATTED = "{file}: is not formatted: run `make format`."
CHECKS = (
    Check("contract and queries", _python("codegen.lint.check")),
    Check("types", (str(_BIN / "mypy"), "--no-error-summary", "contract", "chassis", "services", "codegen", "deploy", "bench",
                    "clients/python/src/weft_client")),
    Check("settings of containers", _python("deploy.checks.settings")),
    Check("imports", _python("codegen.lint.imports")),
    Check("protos", _python("codegen.lint.protos")),
    Check("format of protos", (str(_BIN / "buf"), "format", "-d", "--exit-code", "protos"),
          r"^\+\+\+ (?P<file>\S+)", _FORMATTED),
    Check("style", (str(_BIN / "ruff"), "check", "--quiet", "--output-format=concise", ".")),
    Check("format", (str(_BIN / "ruff"), "format", "--check", "."), r"^ *--> (?P<file>[^:]+:\d+)", _FORMATTED),
)  # fmt: skip
"""The longest first."""


def run(check: Check) -> list[str]:
    """What a check finds: a line for each; empty where all is well."""
    done = subprocess.run(check.command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    said = (done.stdout + done.stderr).strip().splitlines() or [f"{check.command[0]} exits {done.returncode}."]
    matches = [match for line in said if check.lines and (match := re.match(check.lines, line))]
    if any(map(_NOT_GENERATED.search, said)):
        said.append("What mypy does not find of weft.… is written by `make gen`: run it.")
    return [check.sentence.format(file=match["file"]) for match in matches] or said


def main() -> None:
    """Exit 1 with what all checks find, in the order of their names above."""
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        found = dict(zip((check.name for check in CHECKS), pool.map(run, CHECKS), strict=True))
    told = found["contract and queries"]  # protos that do not compile: the other checks of protos say the same lines
    failed = {
        name: lines if lines is told else [line for line in lines if line not in told] for name, lines in found.items()
    }
    failed = {name: lines for name, lines in failed.items() if lines}
    for name, lines in failed.items():
        print(f"{name}:", *lines, sep="\n  ", flush=True)
    if failed:
        sys.exit(f"make lint: {', '.join(failed)}: each line above says what to write.")


if __name__ == "__main__":
    main()
