"""Part of `make lint`: which modules of a service make queries, by their names. Handlers, workers and domains call them.

A noun's queries are in its `repository.py`; what is a part of one, or serves a part of the noun, is named `…_repository.py`, and
statements that fill a module of their own `…_statements.py`. The chassis has its own: queues, idempotency, retention, health.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_PLACES = re.compile(r"(.+_)?(repository|statements)\.py")


def faults(folder: Path) -> Iterator[str]:
    """A sentence for each query under `folder` that is made elsewhere."""
    for file in sorted(folder.rglob("*.py")):
        if _PLACES.fullmatch(file.name) or "Query(" not in (source := file.read_text()):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Query":
                yield (
                    f"{file.relative_to(folder.parent)}:{node.lineno}: makes a query: move it to the noun's repository.py "
                    "(or …_repository.py, …_statements.py) and call a method."
                )
