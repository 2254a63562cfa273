"""Which modules of a service make queries, by their names. Handlers, workers and domains call them.

A noun's queries are in its `repository.py`; what is a part of one, or serves a part of the noun, is named `…_repository.py`, and
statements that fill a module of their own `…_statements.py`. The chassis has its own: queues, idempotency, retention, health.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from codegen.lint.source import Module

_PLACES = re.compile(r"(.+_)?(repository|statements)")
_RAW = frozenset(("execute", "executemany", "scalar", "scalars"))


def is_query(module: Module, node: ast.AST) -> bool:
    """Whether an expression stands for the class `Query`."""
    return module.origin(node).rpartition(".")[2] == "Query"


def faults(modules: Iterable[Module]) -> Iterator[str]:
    """A sentence for each query that is made elsewhere, or past `Query`, and for each module that knows the driver's errors."""
    for module in modules:
        elsewhere = "Query" in module.text and not _PLACES.fullmatch(module.stem)
        if not _PLACES.fullmatch(module.stem) and (driver := _driver(module)):
            yield (
                f"{module.place}:{driver}: imports psycopg: let the repository raise an exception of the domain, or return what became of it."
            )
        for node in module.nodes:
            if elsewhere and _refers(module, node):
                yield (
                    f"{module.place}:{node.lineno}: makes a query: move it to the noun's repository.py "  # type: ignore[attr-defined]
                    "(or …_repository.py, …_statements.py) and call a method."
                )
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _RAW:
                yield (
                    f"{module.place}:{node.lineno}: runs SQL by `.{node.func.attr}(…)`, which is neither prepared nor checked: write a `Query` in the "
                    "noun's repository.py, and pass it to the `Session`."
                )


def _refers(module: Module, node: ast.AST) -> bool:
    """Whether a node names `Query`, to call it or to pass it on; its import alone does nothing."""
    if isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return False
    return isinstance(node, ast.Name | ast.Attribute | ast.Call) and is_query(module, node)


def _driver(module: Module) -> int:
    """The line on which a module imports the database's driver; 0 where it does not."""
    for node in module.nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(name.partition(".")[0] == "psycopg" for name in names):
                return node.lineno
    return 0
