"""SQL names its columns. With `*`, or `TABLE orders`, a prepared statement of a running process breaks on the day that
a migration adds a column (docs/decisions/0066). A row is read by the names of its columns, and an owner gives its parameters
by theirs.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from codegen.lint.source import Module, called

_SQL = re.compile(r"\b(?:SELECT|RETURNING|(?-i:TABLE))\b", re.IGNORECASE)
_STAR = re.compile(
    r"\b(?:SELECT(?:\s+ALL|\s+DISTINCT(?:\s+ON\s*\([^)]*\))?)?|RETURNING)\s+\*|,\s*\*\s*(?:FROM\b|,|$)|\b\w+\"?\.\*"
    r"|(?:^|\(|\b(?:UNION|INTERSECT|EXCEPT|ALL)\b)\s*(?-i:TABLE)\s+[\w\"]+",
    re.IGNORECASE,
)
_ROW = re.compile(r"(?:\w+_)?row")
_OWNER = re.compile(r"\b(?:\w+_)?owner\._asdict$|\b(?:\w+_)?owner_of\([^)]*\)\._asdict$")
_COLUMNS = frozenset(("text", "literal_column", "column", "select", "returning"))


def faults(modules: Iterable[Module]) -> Iterator[str]:
    """A sentence for each `*` in SQL."""
    for module in modules:
        if not ("*" in module.text or "TABLE" in module.text) or not _SQL.search(module.text):
            continue
        for line, text in _texts(module):
            if _SQL.search(text) and (star := _STAR.search(text)):
                yield _fault(module, line, star[0].strip())
        for node in module.nodes:
            if isinstance(node, ast.Call) and _COLUMNS & {module.origin(node.func).rpartition(".")[2], called(node)}:
                for said in map(_text, node.args):
                    if said == "*" or said.endswith(".*"):
                        yield _fault(module, node.lineno, said)


def of_rows(modules: Iterable[Module]) -> Iterator[str]:
    """A sentence for each row that is read by position, and for each owner that is taken apart."""
    for module in modules:
        for node in module.nodes:
            if row := _positional(node):
                yield (
                    f"{module.place}:{node.lineno}: reads `{ast.unparse(node)}` by the order of columns, which a new one changes: write "  # type: ignore[attr-defined]
                    f"`Type(**{row}._asdict())`, or name them (`{row}.title`)."
                )
            if isinstance(node, ast.Call) and called(node) == "_asdict" and _OWNER.search(ast.unparse(node.func)):
                owner = ast.unparse(node.func).removesuffix("._asdict")
                yield (
                    f"{module.place}:{node.lineno}: takes {owner} apart: write `**{owner}.values`, a property of the owner in ownership.py, "
                    "which returns the parameters of its condition."
                )


def _positional(node: ast.AST) -> str:
    """The row of `Type(*row)`, `row[0]`, `row[:-1]`, `a, b = row` and `{… getattr(row, name) for name in …}`; else empty."""
    found: ast.AST | None = None
    if (
        (isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant | ast.Slice | ast.UnaryOp))
        or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple))
    ):
        found = node.value
    elif isinstance(node, ast.DictComp) and isinstance(node.value, ast.Call) and called(node.value) == "getattr":
        found = node.value.args[0]
    return found.id if isinstance(found, ast.Name) and _ROW.fullmatch(found.id) else ""


def _fault(module: Module, line: int, star: str) -> str:
    return f"{module.place}:{line}: name the columns instead of `{star}`; a new column breaks what was prepared before."


def _texts(module: Module) -> Iterator[tuple[int, str]]:
    """Every string, those with values in them or put together of several as a whole."""
    inner: set[ast.AST] = set()
    for node in module.nodes:
        if node not in inner and (text := _text(node)):
            inner.update(ast.walk(node))
            yield getattr(node, "lineno", 0), text


def _text(node: ast.AST) -> str:
    """What a string says, with `x` for a value; empty for what is no string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "x" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return left + (right or "x") if left or right else ""
    if isinstance(node, ast.Call) and called(node) == "format" and isinstance(node.func, ast.Attribute):
        given = [_text(value) or "x" for value in (*node.args, *(keyword.value for keyword in node.keywords))]
        return re.sub(r"{\w*}", lambda _: given.pop(0) if given else "x", _text(node.func.value))
    return ""
