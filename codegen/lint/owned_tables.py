"""A query that reads an owned table names whose rows it wants, or says why it reads everybody's.

A table with `info={"owner": ("customer_id",), …}` is owned. What reads it (a `Query(…)`, and all that it refers to in the
services) has to use a condition of its service's `ownership.py`, the one place that holds them, or carry a comment with a
reason:

    # any owner: the worker settles all payments
    _GET_DUE = Query("SELECT … FROM payments …")

Of several owned tables each has such a condition, or is joined with one that has (`owner_conditions`). A condition is a text or a
function of SQL that compares a column which is an owner. What else is in `ownership.py` (kinds,
checks of a caller) is none. A table with the column of a person or a partner has an owner, or says why it has none:
`"unowned": "…"`. One that is owned by partners has a column `mode`, or `"modeless": "about the partner itself"`.

Read from syntax trees. That the condition is the right one is what the ownership matrix tests (tests/contract).
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from codegen.lint import tables
from codegen.lint.owner_conditions import Conditions, table_of
from codegen.lint.query_places import is_query
from codegen.lint.source import Module, called, resolve
from codegen.lint.tables import Declared

_READS = r'(?:\b(?:FROM|JOIN|UPDATE|USING|ONLY|TABLE)\s+|,\s*)(?:\w+\.)?"?{table}\b'
_REASON = re.compile(r"#\s*any owner: \w+.*")
_READERS = frozenset(("select", "update", "delete", "exists"))
_CONDITIONS = frozenset(("str", "ColumnElement", "TextClause"))
"""What a function of `ownership.py` returns that makes a condition."""


@dataclass
class _Found:
    """What a query refers to, directly or through names."""

    tables: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    owned: bool = False
    conditions: Conditions = field(default_factory=Conditions)


def faults(modules: Mapping[str, Module]) -> Iterator[str]:
    """A sentence for each query that reads an owned table without its owner, and for each table that does not say whose it is."""
    unreadable: list[str] = []
    declared = list(tables.declared(modules, unreadable))
    yield from unreadable
    for table in declared:
        yield from _without_owner(table)
    reader = _Reader(modules, declared)
    for module in modules.values():
        for scope in _scopes(module.tree.body) if "Query" in module.text else ():
            queries = [node for node in ast.walk(scope) if isinstance(node, ast.Call) and is_query(module, node.func)]
            for query in queries:
                yield from reader.faults(module, scope, query, [other for other in queries if other is not query])


def _scopes(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module and its functions, also those within classes."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _scopes(statement.body)
        else:
            yield statement


def _without_owner(table: Declared) -> Iterator[str]:
    place = f"{table.module.place}:{table.line}"
    if not table.owners and (people := sorted(tables.PEOPLE & table.columns)) and "unowned" not in table.info:
        yield (
            f'{place}: {table.name} has a {people[0]} and no owner: write `"owner": ("{people[0]}",)` in its info, or '
            '`"unowned": "<why>"`.'
        )
    if "partner_id" in table.owners and "mode" not in table.columns and "modeless" not in table.info:
        yield (
            f"{place}: {table.name} belongs to partners and has no column `mode`: add it, or write "
            '`"modeless": "<why>"` in its info.'
        )


class _Reader:
    """Follows what queries refer to, through the modules of the services."""

    def __init__(self, modules: Mapping[str, Module], declared: list[Declared]) -> None:
        self._modules = modules
        self._tables = {(table.module.name, table.variable): table.name for table in declared if table.owners}
        self._declared = {(table.module.name, table.variable): table.name for table in declared}
        owners = {owner for table in declared for owner in table.owners} | tables.PEOPLE
        self._compared = re.compile(rf"\b(?:{'|'.join(sorted(owners))})\s*(?:=|IN\b|IS\b|ANY\b)", re.IGNORECASE)
        self._qualified = re.compile(rf"\b(\w+)\.(?:{'|'.join(sorted(owners))})\b")
        self._owners = owners

    def faults(self, module: Module, scope: ast.stmt, query: ast.Call, others: list[ast.Call]) -> Iterator[str]:
        """A sentence if the query reads an owned table without its owner."""
        if _has_reason(module, scope, query, others):
            return
        found = _Found()
        self._collect(module, scope, found, set(), {other for other in others if query not in ast.walk(other)})
        read = self._read(found)
        bare = ", ".join(sorted(found.conditions.without(read) if found.owned else read))
        if bare and not found.owned:
            yield (
                f"{module.place}:{query.lineno}: reads {bare} without an owner: use a condition of the "
                "service's ownership.py, or write `# any owner: <why>` above."
            )
        elif bare:
            yield (
                f"{module.place}:{query.lineno}: reads {bare} without an owner, beside a table that has one: join it by a column "
                "of that, use a condition of the service's ownership.py for it, or write `# any owner: <why>` above."
            )

    def _collect(
        self, module: Module, node: ast.AST, found: _Found, seen: set[tuple[str, str]], left_out: set[ast.Call]
    ) -> None:
        for part in _walk(node, left_out):
            found.conditions.join(self._modules, self._declared, module, part)
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                found.conditions.texts.append(part.value)
            elif isinstance(part, ast.Call):
                found.calls.add(module.origin(part.func).rpartition(".")[2] or called(part))
                self._condition(module, part.func, found, part)
            if isinstance(part, ast.Call) or (
                isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Load)
            ):
                self._follow(resolve(self._modules, module.origin(part)), found, seen)
                self._condition(module, part, found, None)

    def _condition(self, module: Module, node: ast.AST, found: _Found, call: ast.Call | None) -> None:
        """Note a condition of `ownership.py`, and of which tables it is: of its arguments, else of what is in it."""
        home, symbol = resolve(self._modules, module.origin(node))
        target = self._modules[home].names.get(symbol) if home.endswith(".ownership") else None
        if target is None or not self._is_condition(self._modules[home], target):
            return
        found.owned = True
        if isinstance(target, ast.FunctionDef) and call is None:
            return  # its call says more, and is noted of its own
        given = [*call.args, *(keyword.value for keyword in call.keywords)] if call else []
        tables = [table_of(self._modules, self._declared, module, argument) for argument in given]
        aliases = [argument.value for argument in given if isinstance(argument, ast.Constant)]
        text = ""
        if not any(tables) and not aliases:
            parts = list(_walk(target, set()))
            tables = [table_of(self._modules, self._declared, self._modules[home], part) for part in parts]
            text = " ".join(
                part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            aliases = [match[1] for match in self._qualified.finditer(text)]
        found.conditions.hold(tables, map(str, aliases), self._compared.search(text) is not None)

    def _follow(self, name: tuple[str, str], found: _Found, seen: set[tuple[str, str]]) -> None:
        home, symbol = name
        if name in self._tables:
            found.tables.add(self._tables[name])
            return
        if name in seen or not home or symbol not in self._modules[home].names:
            return
        seen.add(name)
        target = self._modules[home].names[symbol]
        if not home.endswith(".ownership") and not isinstance(target, ast.ClassDef):
            self._collect(self._modules[home], target, found, seen, set())

    def _is_condition(self, ownership: Module, target: ast.AST, within: tuple[ast.AST, ...] = ()) -> bool:
        """Whether something of an `ownership.py` is SQL that compares an owner, or makes it with another that is."""
        if isinstance(target, ast.FunctionDef):
            returns = ast.unparse(target.returns).partition("[")[0] if target.returns else ""
            if returns.rpartition(".")[2] not in _CONDITIONS:
                return False
        elif not isinstance(target, ast.Constant | ast.JoinedStr | ast.BinOp | ast.Compare | ast.Call):
            return False
        parts = list(_walk(target, set()))
        columns = {part.attr for part in parts if isinstance(part, ast.Attribute)}
        texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if columns & self._owners or any(self._compared.search(text) for text in texts):
            return True
        names = {part.id for part in parts if isinstance(part, ast.Name)} & ownership.names.keys()
        others = [ownership.names[name] for name in names]
        within = (*within, target)
        return any(other not in within and self._is_condition(ownership, other, within) for other in others)

    def _read(self, found: _Found) -> set[str]:
        """The owned tables that are read: named in SQL, or handed to what reads."""
        text = " ".join(found.conditions.texts)
        owned = set(self._tables.values())
        named = {table for table in owned if re.search(_READS.format(table=table), text, re.IGNORECASE)}
        only_written = "insert" in found.calls and not found.calls & _READERS
        return named | (set() if only_written else found.tables)


def _walk(node: ast.AST, left_out: set[ast.Call]) -> Iterator[ast.AST]:
    """A node and what is in it, in the order of the text: without docstrings, names of queries, and what is left out."""
    if node in left_out:
        return
    yield node
    for child in ast.iter_child_nodes(node):
        said = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        named = isinstance(node, ast.Call) and isinstance(child, ast.keyword) and child.arg == "name"
        if not said and not named:
            yield from _walk(child, left_out)


def _has_reason(module: Module, scope: ast.stmt, query: ast.Call, others: list[ast.Call]) -> bool:
    """A comment within the query's statement or function, or directly above it; where that has several, at the query itself."""
    first = min([scope.lineno, *(d.lineno for d in getattr(scope, "decorator_list", []))])
    last = scope.end_lineno or first
    if others and isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        inner = [node for node in ast.walk(scope) if isinstance(node, ast.stmt) and node is not scope]
        around = [node for node in inner if node.lineno <= query.lineno <= (node.end_lineno or 0)]
        first, last = max((node.lineno, -(node.end_lineno or 0)) for node in around)
        last = -last
    lines = module.text.splitlines()
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return any(_REASON.search(line) for line in lines[first - 1 : last])
