"""Part of `make lint`: error classes and where they are raised, held against the reasons that the contract declares.

A class of `chassis.errors` or a service is named after its reason, takes the reason's code from its base, and names metadata
in its docstring's `{…}` and as keyword arguments where it is raised. All of that is read from the syntax tree: no service is
imported. What is passed as `**…` is left to the error stage, which logs `undeclared_metadata`.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter

from google.rpc import code_pb2

from chassis import errors
from contract import Contract, Reason

_SHARED = "weft.api.v1"
_NO_METADATA = frozenset(("retry_after", "violations", "left_out"))
_CODES = {name: found.code.name for name, found in vars(errors).items() if isinstance(found, type)
          and issubclass(found, errors.WeftError) and found.reason != "WEFT_ERROR"}  # fmt: skip
"""The gRPC codes of the chassis' classes, which those of the services inherit."""


def faults(read: Contract, root: Path) -> Iterator[str]:
    """A sentence for each class and each raise in the chassis and the services that the contract does not allow."""
    chassis = _trees(root, root / "chassis")
    shared = {name: read.reasons[_SHARED, found] for name in _CODES if (_SHARED, found := _named(name)) in read.reasons}
    for place, nodes in chassis:
        yield from _raises(place, nodes, shared)
    for folder in sorted((root / "services").iterdir()):
        trees = _trees(root, folder)
        declared: dict[str, Reason] = {}
        for place, nodes in trees:
            for node in nodes:
                if isinstance(node, ast.ClassDef) and (base := _base(node)):
                    yield from _class(read, f"{place}:{node.lineno}", node, base, declared)
        for place, nodes in trees:
            yield from _raises(place, nodes, shared | declared)


def _trees(root: Path, folder: Path) -> list[tuple[str, list[ast.AST]]]:
    """Each file, and every node of its tree."""
    files = [file for file in sorted(folder.rglob("*.py")) if "migrations" not in file.parts]
    return [(str(file.relative_to(root)), list(ast.walk(ast.parse(file.read_text())))) for file in files]


def _class(read: Contract, place: str, node: ast.ClassDef, base: str, declared: dict[str, Reason]) -> Iterator[str]:
    domain = f"weft.{place.split('/')[1]}.v1"
    reason = read.reasons.get((domain, _named(node.name)))
    if reason is None:
        yield (
            f"{place}: {node.name} is {_named(node.name)} of {domain}, which its ErrorReason does not have: add it there, "
            "or rename the class."
        )
        return
    declared[node.name] = reason
    code = code_pb2.Code.Name(reason.code)
    if code != _CODES[base]:
        yield f"{place}: {node.name} is a {base}, and the contract gives {reason.name} the code {code}."
    message = (ast.get_docstring(node) or "").partition("\n")[0]
    yield from _undeclared(place, reason, {key for _, key, _, _ in Formatter().parse(message) if key})


def _raises(place: str, nodes: list[ast.AST], reasons: Mapping[str, Reason]) -> Iterator[str]:
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.id
            if isinstance(node.func, ast.Name)
            else node.func.attr
            if isinstance(node.func, ast.Attribute)
            else ""
        )
        if name in reasons:
            keys = {keyword.arg for keyword in node.keywords if keyword.arg} - _NO_METADATA
            yield from _undeclared(f"{place}:{node.lineno}", reasons[name], keys)


def _undeclared(place: str, reason: Reason, keys: set[str]) -> Iterator[str]:
    for key in sorted(keys - set(reason.metadata)):
        yield (
            f"{place}: {reason.name} of {reason.domain} has no metadata key {key!r}: add it to the `metadata` of its option, "
            "or drop it here."
        )


def _base(node: ast.ClassDef) -> str:
    """The class of `chassis.errors` that a class derives from; empty where none."""
    names = [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases]
    return next((name for name in names if name in _CODES), "")


def _named(name: str) -> str:
    """`OutOfStock` → `OUT_OF_STOCK`, as `WeftError` does it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()
