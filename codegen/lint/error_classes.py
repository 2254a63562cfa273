"""Error classes and where they are raised, held against the reasons that the contract declares.

A class of `chassis.errors` or a service is named after its reason, takes the reason's code from its base, and names metadata
in its docstring's `{…}` and as keyword arguments where it is raised. All of that is read from the syntax tree: no service is
imported. `**details` has to be a dictionary whose keys can be read in the same module.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from string import Formatter

from google.rpc import code_pb2

from chassis import errors
from codegen.lint.source import Module, called, definitions
from contract import Contract, Reason

_SHARED = "weft.api.v1"
_OURS = ("chassis.", "services.")
_NO_METADATA = frozenset(("retry_after", "violations", "left_out"))
_CODES = {name: found.code.name for name, found in vars(errors).items() if isinstance(found, type)
          and issubclass(found, errors.WeftError) and found.reason != "WEFT_ERROR"}  # fmt: skip
"""The gRPC codes of the chassis' classes, which those of the services inherit."""


def faults(read: Contract, services: Mapping[str, Module], chassis: Mapping[str, Module]) -> Iterator[str]:
    """A sentence for each class and each raise in the chassis and the services that the contract does not allow."""
    shared = {name: read.reasons[_SHARED, found] for name in _CODES if (_SHARED, found := _named(name)) in read.reasons}
    for each in chassis.values():
        yield from _raises(each, shared, {})
    for service, grouped in groupby(services.values(), key=lambda module: ".".join(module.name.split(".")[:2])):
        modules = list(grouped)
        all_classes = [(module, node) for module in modules for node in module.nodes if isinstance(node, ast.ClassDef)]
        classes = {node.name: (module, node) for module, node in all_classes}
        declared: dict[str, Reason] = {}
        domain = f"weft.{service.rpartition('.')[2]}.v1"
        said: dict[str, set[str]] = {}
        for module, node in all_classes:
            if base := _base(classes, module, node):
                yield from _class(read, domain, module, node, base, declared)
                said[node.name] = _said(node)
        for module in modules:
            yield from _raises(module, shared | declared, said)


def _class(
    read: Contract, domain: str, module: Module, node: ast.ClassDef, base: str, declared: dict[str, Reason]
) -> Iterator[str]:
    place = f"{module.place}:{node.lineno}"
    assigned = {
        name: value.value for part in node.body for name, value in definitions(part) if isinstance(value, ast.Constant)
    }
    name, domain = str(assigned.get("reason", _named(node.name))), str(assigned.get("domain", domain))
    reason = read.reasons.get((domain, name))
    if reason is None:
        yield (
            f"{place}: {node.name} is {name} of {domain}, which its ErrorReason does not have: add it there, "
            "or rename the class."
        )
        return
    declared[node.name] = reason
    code = code_pb2.Code.Name(reason.code)
    if code != _CODES[base]:
        yield (
            f"{place}: {node.name} is a {base}, and the contract gives {reason.name} the code {code}: derive it from the class of "
            "that code, or change the code in the option."
        )
    yield from _undeclared(place, reason, _said(node))


def _said(node: ast.ClassDef) -> set[str]:
    """The keys that the message of a class names, which is the first line of its docstring."""
    message = (ast.get_docstring(node) or "").partition("\n")[0]
    return {key for _, key, _, _ in Formatter().parse(message) if key}


def _raises(module: Module, reasons: Mapping[str, Reason], said: Mapping[str, set[str]]) -> Iterator[str]:
    """`said`: the keys that the message of a class names."""
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        callees = [node.func.body, node.func.orelse] if isinstance(node.func, ast.IfExp) else [node.func]
        if called(node) == "partial" and node.args:
            callees = [node.args[0]]
        origins = {origin for callee in callees if (origin := module.origin(callee)).startswith(_OURS)}
        for name in {origin.rpartition(".")[2] for origin in origins} & reasons.keys():
            place = f"{module.place}:{node.lineno}"
            keys: set[str] = set()
            readable = callees == [node.func]
            for keyword in node.keywords:
                found = {keyword.arg} if keyword.arg else _keys(module, keyword.value)
                if found is None:
                    readable = False
                    yield (
                        f"{place}: {name} takes metadata from `**{ast.unparse(keyword.value)}`, whose keys nobody can check: write "
                        "them as keyword arguments."
                    )
                keys |= found or set()
            undeclared = list(_undeclared(place, reasons[name], keys - _NO_METADATA))
            yield from undeclared
            missing = sorted(said.get(name, set()) - keys)
            if readable and missing and not undeclared:
                yield f"{place}: {name} needs {', '.join(missing)}, which its message names: write `{missing[0]}=…`."


def _keys(module: Module, node: ast.expr) -> set[str] | None:
    """The keys of a dictionary, written here or given to a name in the same module; None where they cannot be read."""
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
    if isinstance(node, ast.Call) and called(node) == "dict" and not node.args:
        keys = {keyword.arg for keyword in node.keywords if keyword.arg}
        return keys if len(keys) == len(node.keywords) else None
    if isinstance(node, ast.IfExp):
        one, other = _keys(module, node.body), _keys(module, node.orelse)
        return None if one is None or other is None else one | other
    if not isinstance(node, ast.Name):
        return None
    found = [_keys(module, value) for value in _assigned(module, node.id) if not isinstance(value, ast.Name)]
    added = {
        str(target.slice.value)
        for target in module.nodes
        if isinstance(target, ast.Subscript) and isinstance(target.ctx, ast.Store) and isinstance(target.slice, ast.Constant)
        and isinstance(target.value, ast.Name) and target.value.id == node.id
    }  # fmt: skip
    return added.union(*filter(None, found)) if found and None not in found else None


def _assigned(module: Module, name: str) -> Iterator[ast.expr]:
    for node in module.nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (value for target, value in definitions(node) if target == name and isinstance(value, ast.expr))


def _undeclared(place: str, reason: Reason, keys: set[str]) -> Iterator[str]:
    for key in sorted(keys - set(reason.metadata)):
        yield (
            f"{place}: {reason.name} of {reason.domain} has no metadata key {key!r}: add it to the `metadata` of its option, "
            "or drop it here."
        )


def _base(classes: Mapping[str, tuple[Module, ast.ClassDef]], module: Module, node: ast.ClassDef, hops: int = 0) -> str:
    """The class of `chassis.errors` that a class derives from, through others of its service as well; empty where none."""
    for base in node.bases:
        name = module.origin(base).rpartition(".")[2]
        if name in _CODES:
            return name
        if name in classes and hops < len(classes) and (found := _base(classes, *classes[name], hops + 1)):
            return found
    return ""


def _named(name: str) -> str:
    """`OutOfStock` → `OUT_OF_STOCK`, as `WeftError` does it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()
