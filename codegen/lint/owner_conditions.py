"""Which tables of one query are held by an owner's condition: by one of their own, or by a join on another table.

A condition is of the table that it is given (`of_user(things)`, `of_owner(kind, "t")`), else of the alias in its text
(`t.user_id = …`), else of the table that the statement named last. A join is an equality with a column of another table:
`t.thing_id = o.thing_id`, `things.c.thing_id == orders.c.thing_id`, `USING (…)`, `IN (SELECT …)`.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from codegen.lint.source import Module, called, resolve

_UNNAMED = "\0"
"""Stands in the text for a condition that names no table."""
_EQUAL = re.compile(r"\b(\w+)\.\w+\s*=\s*(\w+)\.\w+")
_SUBSELECT = re.compile(
    r"(?:\b(\w+)\.)?\b\w+\)?\s*(?:\bIN|=)\s*(?:ANY\s*)?\(\s*(?:ARRAY\s*\(\s*)?SELECT\b", re.IGNORECASE
)
_JOINS = {"join": 1, "outerjoin": 1, "join_from": 2, "outerjoin_from": 2}
"""With so many arguments they join by foreign keys."""
_NO_ALIAS = frozenset(
    ("where", "on", "set", "using", "join", "left", "right", "inner", "cross", "order", "group", "for", "limit", "with")
)
_MAX_HOPS = 20


def table_of(
    modules: Mapping[str, Module], tables: Mapping[tuple[str, str], str], module: Module, node: ast.AST
) -> str:
    """The table of an expression such as `things`, `things.alias("t")` or `things.c.name`; empty where it is none."""
    for _ in range(_MAX_HOPS):
        home, symbol = resolve(modules, module.origin(node))
        if (home, symbol) in tables:
            return tables[home, symbol]
        behind = modules[home].names.get(symbol) if home else None
        if behind is None and isinstance(node, ast.Name):
            home, behind = module.name, module.assigned.get(node.id)
        if isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call) and called(node) == "alias" and isinstance(node.func, ast.Attribute):
            node = node.func.value
        elif isinstance(behind, ast.expr) and home:
            module, node = modules[home], behind
        else:
            break
    return ""


def _is_column(node: ast.AST) -> bool:
    """`x.c.name` and `x.c["name"]`, whatever `x` is."""
    parts = [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)]
    return isinstance(node, ast.Attribute | ast.Subscript) and "c" in parts


@dataclass
class Conditions:
    """What a query says of its tables, gathered in the order of its text."""

    texts: list[str] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    """With a condition, in SQLAlchemy Core."""
    aliases: set[str] = field(default_factory=set)
    """With a condition, by the name that the statement gives a table."""
    joins: list[tuple[str, str]] = field(default_factory=list)
    """Of tables in SQLAlchemy Core; empty for what is no table of ours."""
    named: dict[str, set[str]] = field(default_factory=dict)
    """The aliases of tables in SQLAlchemy Core."""
    unread: bool = False
    """Whether there is a condition whose table cannot be read."""

    def join(
        self, modules: Mapping[str, Module], tables: Mapping[tuple[str, str], str], module: Module, part: ast.AST
    ) -> None:
        """Note the join or the alias that `part` is, if it is one."""
        if isinstance(part, ast.Compare) and isinstance(part.ops[0], ast.Eq):
            sides = part.left, part.comparators[0]
            found = [table_of(modules, tables, module, side) for side in sides]
            columns = all(
                table or _is_column(side) or _selects(modules, module, side)
                for table, side in zip(found, sides, strict=True)
            )
            if columns and found[0] != found[1]:
                self.joins.append((found[0], found[1]))
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.args:
            table = table_of(modules, tables, module, part.func.value)
            if part.func.attr == "in_" and _selects(modules, module, part.args[0]):
                compared = {table_of(modules, tables, module, column) for column in ast.walk(part.func.value)}
                self.joins += [(name, "") for name in compared - {""}]
            elif part.func.attr == "alias" and table and isinstance(part.args[0], ast.Constant):
                self.named.setdefault(table, set()).add(str(part.args[0].value))
            elif len(part.args) == _JOINS.get(part.func.attr):
                last = table_of(modules, tables, module, part.args[-1])
                before = part.args[0] if len(part.args) > 1 else part.func.value
                others = {table_of(modules, tables, module, other) for other in ast.walk(before)}
                self.joins += [(last, name) for name in others - {"", last} if last]

    def hold(self, tables: Iterable[str], aliases: Iterable[str], is_text: bool) -> None:
        """Note a condition of these tables and aliases; without any, of the table that was named last if it is a text."""
        found, names = set(tables) - {""}, set(aliases)
        self.tables |= found
        self.aliases |= names
        if not found and not names:
            if is_text:
                self.texts.append(_UNNAMED)
            else:
                self.unread = True

    def without(self, read: Iterable[str]) -> set[str]:
        """Those of the tables `read` that no condition holds."""
        if self.unread:
            return set()
        text = " ".join(self.texts)
        names = {table: {table, *self.named.get(table, ()), *_aliases(table, text)} for table in read}
        held = {table for table, known in names.items() if table in self.tables or known & self.aliases}
        held |= {_last_named(names, text[: at.start()]) for at in re.finditer(_UNNAMED, text)}
        selects = set(_SUBSELECT.findall(text))
        held |= {table for table, known in names.items() if known & selects or (len(known) == 1 and "" in selects)}
        held |= {table for table in names if re.search(rf"JOIN\s+{table}\b[^()]*\bUSING\s*\(", text, re.IGNORECASE)}
        joins = [[_behind(names, name) for name in pair] for pair in (*self.joins, *_EQUAL.findall(text))]
        for _ in names:  # each turn goes one join further
            for one, other in (*joins, *(pair[::-1] for pair in joins)):
                if one != other and (not one or one & held):
                    held |= other
        return set(names) - held


def _behind(names: Mapping[str, set[str]], name: str) -> set[str]:
    """The tables that a name of the statement may stand for; none where it is another's, such as a subselect's."""
    return {table for table, known in names.items() if name in known}


def _aliases(table: str, text: str) -> Iterator[str]:
    for found in re.finditer(
        rf'(?:\b(?:FROM|JOIN|UPDATE|USING|ONLY)|,)\s+(?:\w+\.)?"?{table}"?(?:\s+AS)?\s+(\w+)', text, re.IGNORECASE
    ):
        if found[1].lower() not in _NO_ALIAS:
            yield found[1]


def _last_named(tables: Iterable[str], text: str) -> str:
    """Of these tables; the first one where the text names none."""
    return max(
        tables, key=lambda table: max((m.end() for m in re.finditer(rf"\b{table}\b", text)), default=-1), default=""
    )


def _selects(modules: Mapping[str, Module], module: Module, node: ast.AST) -> bool:
    home, symbol = resolve(modules, module.origin(node))
    behind = modules[home].names.get(symbol, node) if home else node
    return any(isinstance(part, ast.Call) and called(part) == "select" for part in ast.walk(behind))
