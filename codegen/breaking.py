"""`make breaking`: compares the contract with that of the last release tag or, without one, of the baseline."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from codegen import buf

ROOT = Path(__file__).resolve().parent.parent
BASELINE = "codegen/breaking_baseline.txt"
"""The commit that the contract is compared with before the first release tag, and why that one."""


def before(root: Path) -> str:
    """The commit to compare with: the last tag's, else the baseline, else the previous; empty in a clone without any."""
    tag = _git(root, "describe", "--tags", "--abbrev=0", "--match", "v*").decode().strip()
    baseline = (root / BASELINE).read_text().split()[0]
    found = (_commit(root, candidate) for candidate in (tag, baseline, "HEAD~1") if candidate)
    return next((commit for commit in found if commit), "")


def _commit(root: Path, name: str) -> str:
    """The id of a commit that the clone holds; else empty."""
    return _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()


def breaks(root: Path, commit: str) -> str:
    """What buf says is broken against `commit`; empty where nothing is."""
    archive = _git(root, "archive", commit, "protos", "buf.yaml")
    if not archive:
        return ""  # no contract yet at that commit
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        shutil.copytree(root / "third_party" / "protos", Path(folder) / "third_party" / "protos")
        try:
            buf.run("breaking", "--against", folder, cwd=root)
        except buf.Failed as failed:
            return str(failed)
    return ""


def main() -> None:
    """Exit 1 with what is broken."""
    commit = before(ROOT)
    if not commit:
        print("breaking: nothing to compare with, as this clone holds neither a release tag nor a previous commit")
        return
    sys.exit(breaks(ROOT, commit) or 0)


def _git(root: Path, *arguments: str) -> bytes:
    """What git prints; nothing where it fails, as for a commit that a shallow clone lacks."""
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False).stdout


if __name__ == "__main__":
    main()
