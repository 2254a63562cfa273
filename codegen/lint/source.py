"""Python modules as syntax trees, and what their names stand for, in whichever way they were imported."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MAX_HOPS = 20
"""Names that stand for names; more are a circle."""


@dataclass
class Module:
    """A module: what its names stand for, here or elsewhere, and its lines."""

    name: str
    place: str
    tree: ast.Module
    text: str
    nodes: list[ast.AST]
    """Every node of the tree."""
    imports: dict[str, str] = field(default_factory=dict)
    """The dotted name behind each name that an import binds, at any depth."""
    names: dict[str, ast.AST] = field(default_factory=dict)
    """What each name of the module itself stands for."""
    aliases: dict[str, ast.expr] = field(default_factory=dict)
    """Names, at any depth, that are assigned nothing but another name."""
    assigned: dict[str, ast.AST] = field(default_factory=dict)
    """What each name is assigned first, at any depth: for names within functions."""

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return Path(self.place).stem

    def origin(self, node: ast.AST, hops: int = 0) -> str:
        """The dotted name that an expression stands for, such as `chassis.storage.database.Query`; empty where it is none."""
        if hops > _MAX_HOPS:
            return ""
        if isinstance(node, ast.Name):
            if node.id in self.imports:
                return self.imports[node.id]
            if node.id in self.aliases:
                return self.origin(self.aliases[node.id], hops + 1)
            return f"{self.name}.{node.id}"
        value, attribute = _member(node)
        base = self.origin(value, hops + 1) if value is not None else ""
        return base and f"{base}.{attribute}"


def read(folder: Path) -> dict[str, Module]:
    """The modules under a folder of the tree's root by dotted name, without migrations."""
    found = {}
    for file in sorted(folder.rglob("*.py")):
        if "versions" not in file.parts:
            parts = file.relative_to(folder.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            found[name] = _module(name, str(file.relative_to(folder.parent)), file)
    return found


def resolve(modules: Mapping[str, Module], dotted: str) -> tuple[str, str]:
    """Module and symbol of a dotted name, also where modules between import it, and what is behind the symbol left out.

    Two empty texts where it is of none of these modules.
    """
    for _ in range(_MAX_HOPS):
        home, _, symbol = dotted.rpartition(".")
        while home and home not in modules:
            home, _, symbol = home.rpartition(".")
        if not home:
            return "", ""
        if symbol in modules[home].names or symbol not in modules[home].imports:
            return home, symbol
        dotted = modules[home].imports[symbol]
    return "", ""


def called(call: ast.Call) -> str:
    """The last part of the name that is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _member(node: ast.AST) -> tuple[ast.expr | None, str]:
    """`x.y` and `getattr(x, "y")`."""
    if isinstance(node, ast.Attribute):
        return node.value, node.attr
    if isinstance(node, ast.Call) and called(node) == "getattr" and len(node.args) > 1:
        name = node.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return node.args[0], name.value
    return None, ""


def _module(name: str, place: str, file: Path) -> Module:
    text = file.read_text()
    tree = ast.parse(text)
    module = Module(name, place, tree, text, list(ast.walk(tree)))
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                module.imports[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            home = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                module.imports[alias.asname or alias.name] = f"{home}.{alias.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target, value in definitions(node):
                module.assigned.setdefault(target, value)
                if isinstance(value, ast.Name) or _member(value)[0] is not None:
                    module.aliases.setdefault(target, value)  # type: ignore[arg-type]
    for statement in _statements(module.tree.body):
        module.names.update(definitions(statement))
    return module


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """A module's statements, also those under `if`, `try` and `with`."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            inner = [part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.stmt)]
            handlers = [part for found in getattr(statement, "handlers", []) for part in found.body]
            yield from _statements(inner + handlers)


def definitions(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
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
