"""Part of `make lint`: a query that reads an owned table names whose rows it wants, or says why it reads everybody's.

A table with `info={"owner": ("customer_id",), …}` is owned. What reads it (a top-level statement with `Query(…)`, and all that it
refers to in the services) has to use something of its service's `ownership.py`, the one place that holds the predicates, or
carry a comment with a reason:

    # any owner: the worker settles all payments
    _GET_DUE = Query("SELECT … FROM payments …")

A table that is owned by partners (`"partner_id"` among the owners) has a column `mode`, or says why it has none:
`"modeless": "about the partner itself"`. The predicates of `ownership.py` hold the mode beside the partner.

Read from syntax trees. That the predicate is the right one is what the ownership matrix tests (tests/contract).
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_READS = r"\b(?:FROM|JOIN|UPDATE|USING)\s+(?:ONLY\s+)?{table}\b"
_REASON = re.compile(r"#\s*any owner: \w+.*")
_READERS = frozenset(("select", "update", "delete"))


@dataclass
class _Module:
    """A module of the services: what its names stand for, here or in another module, and its lines."""

    place: str
    tree: ast.Module
    lines: list[str]
    names: dict[str, ast.AST] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass
class _Found:
    """What a statement refers to, directly or through names."""

    texts: list[str] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    owned: bool = False


def faults(folder: Path) -> Iterator[str]:
    """A sentence for each query under `folder` that reads an owned table without its owner."""
    modules = {name: _module(folder, file) for file, name in _files(folder)}
    yield from (fault for module in modules.values() for fault in _without_mode(module))
    owned = {table for module in modules.values() for table in _owned_tables(module)}
    variables = {
        (name, variable): table
        for name, module in modules.items()
        for variable, table in _variables(module).items()
        if table in owned
    }
    for name, module in modules.items():
        for statement in module.tree.body if any("Query(" in line for line in module.lines) else ():
            if not _makes_query(statement) or _has_reason(module, statement):
                continue
            found = _Found()
            _collect(modules, variables, name, statement, found, set())
            if not found.owned and (tables := sorted(_read(found, owned))):
                yield (
                    f"{module.place}:{statement.lineno}: reads {', '.join(tables)} without an owner: use a predicate of the "
                    "service's ownership.py, or write `# any owner: <why>` above."
                )


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(folder.rglob("*.py")):
        if "migrations" not in file.parts:
            name = ".".join([folder.name, *file.relative_to(folder).with_suffix("").parts])
            yield file, name.removesuffix(".__init__")


def _module(folder: Path, file: Path) -> _Module:
    text = file.read_text()
    module = _Module(str(file.relative_to(folder.parent)), ast.parse(text), text.splitlines())
    for statement in module.tree.body:
        module.names.update(_definitions(statement))
        if isinstance(statement, ast.ImportFrom) and statement.module and statement.module.startswith(folder.name):
            for alias in statement.names:
                module.imports[alias.asname or alias.name] = (statement.module, alias.name)
    return module


def _definitions(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    """The names that a statement defines, with what each stands for."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name, statement
    elif isinstance(statement, ast.AnnAssign) and statement.value and isinstance(statement.target, ast.Name):
        yield statement.target.id, statement.value
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value
            elif isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                pairs = zip(target.elts, statement.value.elts, strict=False)
                yield from ((name.id, value) for name, value in pairs if isinstance(name, ast.Name))


def _tables(module: _Module) -> Iterator[tuple[str, str, ast.Call]]:
    """The tables that a module defines: the variable, the name and the call."""
    for name, call in module.names.items():
        if isinstance(call, ast.Call) and _called(call) == "Table" and isinstance(call.args[0], ast.Constant):
            yield name, str(call.args[0].value), call


def _info(call: ast.Call) -> dict[str, ast.expr]:
    """The entries of a table's `info` that it writes itself."""
    info = next((keyword.value for keyword in call.keywords if keyword.arg == "info"), None)
    if not isinstance(info, ast.Dict):
        return {}
    return {str(k.value): v for k, v in zip(info.keys, info.values, strict=True) if isinstance(k, ast.Constant)}


def _owned_tables(module: _Module) -> Iterator[str]:
    return (table for _, table, call in _tables(module) if "owner" in _info(call))


def _without_mode(module: _Module) -> Iterator[str]:
    for _, table, call in _tables(module):
        info = _info(call)
        owners = ast.literal_eval(info["owner"]) if "owner" in info else ()
        columns = {
            part.args[0].value
            for part in call.args
            if isinstance(part, ast.Call) and _called(part) == "Column" and isinstance(part.args[0], ast.Constant)
        }
        if "partner_id" in owners and "mode" not in columns and "modeless" not in info:
            yield (
                f"{module.place}:{call.lineno}: {table} belongs to partners and has no column `mode`: add it, or write "
                '`"modeless": "<why>"` in its info.'
            )


def _variables(module: _Module) -> dict[str, str]:
    return {variable: table for variable, table, _ in _tables(module)}


def _makes_query(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Call) and _called(node) == "Query" for node in ast.walk(statement))


def _has_reason(module: _Module, statement: ast.stmt) -> bool:
    """A comment within the statement, or directly above it."""
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))]) - 1
    while first > 0 and module.lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return any(_REASON.search(line) for line in module.lines[first : statement.end_lineno])


def _collect(
    modules: dict[str, _Module],
    variables: dict[tuple[str, str], str],
    name: str,
    node: ast.AST,
    found: _Found,
    seen: set[tuple[str, str]],
) -> None:
    module = modules[name]
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.texts.append(part.value)
        elif isinstance(part, ast.Call):
            found.calls.add(_called(part))
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            home, symbol = module.imports.get(part.id, (name, part.id))
            if home.endswith(".ownership") or symbol == "ownership":
                found.owned = True
            elif (home, symbol) in variables:
                found.tables.add(variables[home, symbol])
            elif (home, symbol) not in seen and symbol in getattr(modules.get(home), "names", {}):
                seen.add((home, symbol))
                target = modules[home].names[symbol]
                if not isinstance(target, ast.ClassDef):
                    _collect(modules, variables, home, target, found, seen)


def _read(found: _Found, owned: set[str]) -> set[str]:
    """The owned tables that are read: named in SQL, or handed to what reads."""
    text = " ".join(found.texts)
    named = {table for table in owned if re.search(_READS.format(table=table), text)}
    only_written = "insert" in found.calls and not found.calls & _READERS
    return named | (set() if only_written else found.tables)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
