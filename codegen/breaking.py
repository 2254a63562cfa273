"""`make breaking`: compares the contract with that of the last release tag or, without one, of the previous commit."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from codegen import buf

ROOT = Path(__file__).resolve().parent.parent


def before(root: Path) -> str:
    """The commit to compare with: the last tag's, else the previous; empty in a clone that holds neither."""
    tag = _git(root, "describe", "--tags", "--abbrev=0", "--match", "v*")
    return (
        _git(root, "rev-parse", "--verify", "--quiet", f"{tag.decode().strip() or 'HEAD~1'}^{{commit}}")
        .decode()
        .strip()
    )


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
