"""`make check-gen`: generates in a copy of the tree and fails where anything differs from what is in the tree.

The copy holds what git would: tracked files and new ones that are not ignored. `gen/` is not copied, so that what no
generator writes any more is shown too.
"""

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MAX_SHOWN_PATHS = 20
_SKIPPED = {"third_party", "__pycache__", "build", "dist"}


def copy(root: Path, target: Path, without: str = "") -> None:
    """Copy what git would keep of `root` to `target`, and the fetched protos; leave out files below `without`."""
    for name in files(root):
        if not (without and name.startswith(without)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    shutil.copytree(root / "third_party", target / "third_party")


def generate(tree: Path) -> None:
    """Run the tree's own `codegen.generate`. Raises `CalledProcessError` with its output."""
    subprocess.run(
        [sys.executable, "-m", "codegen.generate"],
        cwd=tree,
        env=environment(tree),
        check=True,
        capture_output=True,
        text=True,
    )


def environment(tree: Path) -> dict[str, str]:
    """The environment in which Python finds the modules of `tree` before any other's."""
    sources = [tree, tree / "gen" / "python", tree / "clients" / "python" / "src", tree / "third_party" / "python"]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources)), "PYTHONDONTWRITEBYTECODE": "1"}


def differing(root: Path) -> list[str]:
    """The paths, relative to `root`, that generating again would write, change or remove."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copy(root, tree, without="gen/")
        generate(tree)
        made = {str(path.relative_to(tree)) for path in _walk(tree)}
        gone = {name for name in files(root) if name.startswith("gen/")} - made
        return sorted(gone | {name for name in made if not _same(tree / name, root / name)})


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def main() -> None:
    """Exit 1 with the paths that differ."""
    try:
        found = differing(ROOT)
    except subprocess.CalledProcessError as error:
        sys.exit(f"make gen fails:\n{error.stdout}{error.stderr}")
    if found:
        more = f"\n… and {len(found) - _MAX_SHOWN_PATHS} more" if len(found) > _MAX_SHOWN_PATHS else ""
        sys.exit(
            "Generated files are not what the protos say; run `make gen`:\n"
            + "\n".join(found[:_MAX_SHOWN_PATHS])
            + more
        )


def files(root: Path) -> list[str]:
    """What git keeps or would take, as relative paths; without git, every file that is not fetched or built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if listed.returncode:
        return [str(path.relative_to(root)) for path in _walk(root)]
    return [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


def _walk(tree: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        yield from (Path(folder) / name for name in names)


if __name__ == "__main__":
    main()
