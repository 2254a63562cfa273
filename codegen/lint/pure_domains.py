"""A domain gets the time and what is in files as arguments; import rules do not see `open` and `datetime.now`, which are always at hand."""

import ast
import re
from collections.abc import Iterable, Iterator

from codegen.lint.source import Module

_DOMAIN = re.compile(r"services/(?:.+/)?(?:domain/.+|(?:\w+_)?domain)\.py")
_CLOCKS = re.compile(r"time\.\w+|datetime\.datetime\.(?:now|utcnow|today)|datetime\.date\.today")
_FILES = frozenset(("open", "input"))


def faults(modules: Iterable[Module]) -> Iterator[str]:
    """A sentence for each use of a clock or of a file in a domain."""
    for module in modules:
        for node in module.nodes if _DOMAIN.fullmatch(module.place) else ():
            if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
                continue
            origin = module.origin(node)
            own = isinstance(node, ast.Name) and (node.id in module.imports or node.id in module.names)
            if _CLOCKS.fullmatch(origin) or (isinstance(node, ast.Name) and node.id in _FILES and not own):
                what = "the time" if _CLOCKS.fullmatch(origin) else "what it reads"
                yield f"{module.place}:{node.lineno}: uses {ast.unparse(node)}, but the domain does no I/O: take {what} as an argument."
