"""The protos as they are now: compiled, and their style by `buf lint`, which prints its lines when this module is run.

A misspelt value is told and then read as the one that it is most like, so that one run tells all else, too.
"""

import difflib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codegen import buf

_VALUE = re.compile(r"^\s+([A-Z][A-Z0-9_]+) = \d+", re.MULTILINE)
_UNKNOWN = re.compile(r"(?P<place>.+?:\d+):\d+:cannot find `(?P<name>[A-Z][A-Z0-9_]+)` in this scope")
_MAX_ROUNDS = 10
"""The compiler does not name every unknown value at once."""


class NotCompiled(Exception):
    """The protos do not compile; each argument is a sentence or a line of buf."""


@contextmanager
def compiled(root: Path) -> Iterator[tuple[Path, Path, list[str]]]:
    """The protos of `root`, or a copy in which misspelt values are replaced: the tree, its descriptors, a sentence for each such value.

    Raises `NotCompiled`.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree, found = root, []
        descriptors = Path(folder) / "descriptors.binpb"
        for _ in range(_MAX_ROUNDS):
            try:
                buf.run("build", "--as-file-descriptor-set", "-o", str(descriptors), cwd=tree)
                break
            except buf.Failed as error:
                sentences, nearest, others = _misspelt(root, str(error).splitlines())
                found += sentences
                if others:
                    raise NotCompiled(*found, *others) from None
                tree = _copy(root, Path(folder) / "tree") if tree is root else tree
                _replace(tree / "protos", nearest)
        else:
            raise NotCompiled(*found)
        yield tree, descriptors, found


def _misspelt(root: Path, complaints: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """A sentence for each unknown value, what each is most like, and the complaints about something else."""
    declared = {
        value: file.relative_to(root)
        for file in sorted((root / "protos" / "weft").rglob("*.proto"))
        for value in _VALUE.findall(file.read_text())
    }
    sentences, nearest, others = [], {}, []
    for line in complaints:
        match = _UNKNOWN.fullmatch(line)
        near = difflib.get_close_matches(match["name"], declared, n=1) if match else []
        if match and near:
            name = match["name"]
            nearest[name] = near[0]
            sentences.append(
                f"{match['place']}: {name} is not declared: write {near[0]}, or add {name} to {declared[near[0]]}."
            )
        else:
            others.append(line)
    return sentences, nearest, others


def _copy(root: Path, tree: Path) -> Path:
    """Of what buf reads."""
    tree.mkdir()
    shutil.copytree(root / "protos", tree / "protos")
    shutil.copy(root / "buf.yaml", tree)
    (tree / "third_party").symlink_to((root / "third_party").resolve())
    return tree


def _replace(protos: Path, names: dict[str, str]) -> None:
    for file in protos.rglob("*.proto"):
        text = file.read_text()
        changed = re.sub(rf"\b(?:{'|'.join(names)})\b", lambda found: names[found[0]], text)
        if changed != text:
            file.write_text(changed)


def faults(root: Path) -> list[str]:
    """The lines of `buf lint`; what does not compile is told by `codegen.lint.check`."""
    found = _lint(root)
    if not any(map(_UNKNOWN.fullmatch, found)):
        return found
    try:
        with compiled(root) as (tree, _, _):
            return _lint(tree)
    except NotCompiled:
        return []


def _lint(tree: Path) -> list[str]:
    try:
        buf.run("lint", "protos", cwd=tree)
    except buf.Failed as error:
        return str(error).splitlines()
    return []


def main() -> None:
    """Exit 1 with the lines, if there are any."""
    sys.exit("\n".join(faults(Path.cwd())) or 0)


if __name__ == "__main__":
    main()
