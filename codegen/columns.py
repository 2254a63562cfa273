"""Part of `make lint`: SQL names its columns. With `*`, a prepared statement of a running process breaks on the day that
a migration adds a column (docs/decisions/0066).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_SQL = re.compile(r"\b(SELECT|RETURNING)\b")
_STAR = re.compile(r"\b(?:SELECT(?: DISTINCT)?|RETURNING)\s+\*|,\s*\*\s*(?:FROM\b|,|$)|\b\w+\.\*")


def check(folder: Path) -> str:
    """A sentence to print about each `*` in the SQL under `folder`, one a line; empty where there is none."""
    return "\n".join(
        f"{file.relative_to(folder.parent)}:{line}: name the columns instead of `{star[0].strip()}`; "
        "a new column breaks what was prepared before."
        for file in sorted(folder.rglob("*.py"))
        if _SQL.search(source := file.read_text())
        for line, text in _texts(ast.parse(source))
        if _SQL.search(text) and (star := _STAR.search(text))
    )


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string, those with values in them as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
