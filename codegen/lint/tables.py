"""The tables of the services, as their modules declare them: names, columns, owners. Read from syntax trees."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from codegen.lint.source import Module, called, resolve

PEOPLE = frozenset(("user_id", "customer_id", "partner_id"))
"""Columns that say whose a row is."""


class Unreadable(Exception):
    """What a table declares cannot be read without running the module."""


@dataclass(frozen=True)
class Declared:
    """A `Table(…)`: where it is, and what it says."""

    module: Module
    variable: str
    name: str
    line: int
    columns: frozenset[str]
    owners: tuple[str, ...]
    info: Mapping[str, ast.expr]


def declared(modules: Mapping[str, Module], faults: list[str]) -> Iterator[Declared]:
    """Every table; what cannot be read is added to `faults`."""
    for module in modules.values():
        for variable, call in module.names.items():
            if (
                not isinstance(call, ast.Call)
                or module.origin(call.func).rpartition(".")[2] != "Table"
                or not call.args
            ):
                continue
            place = f"{module.place}:{call.lineno}"
            name = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
            if not isinstance(name, str):
                faults.append(f"{place}: {variable} has a computed name: write the table's name as a text.")
                continue
            try:
                info = _info(modules, module, call)
                owners = _texts(modules, module, info["owner"]) if "owner" in info else ()
            except Unreadable as error:
                faults.append(f"{place}: {error} of {name} cannot be read: write it in the table's own `info={{…}}`.")
                continue
            yield Declared(module, variable, name, call.lineno, _columns(call), owners, info)


def _columns(call: ast.Call) -> frozenset[str]:
    parts = [part for part in call.args if isinstance(part, ast.Call) and called(part) == "Column" and part.args]
    return frozenset(str(part.args[0].value) for part in parts if isinstance(part.args[0], ast.Constant))


def _info(modules: Mapping[str, Module], module: Module, call: ast.Call) -> dict[str, ast.expr]:
    """The entries of a table's `info`. Those of the chassis, such as `retention.keep(…)`, say no owner."""
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "info"), None)
    return _entries(modules, module, given) if given is not None else {}


def _entries(modules: Mapping[str, Module], module: Module, node: ast.expr) -> dict[str, ast.expr]:
    home, value = _value(modules, module, node)
    if isinstance(value, ast.Call) and called(value) == "dict":
        return {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        return _entries(modules, home, value.left) | _entries(modules, home, value.right)
    if isinstance(value, ast.Call):
        return {}
    if not isinstance(value, ast.Dict):
        if module.origin(node).partition(".")[0] != module.name.partition(".")[0]:
            return {}
        raise Unreadable("the info")
    found: dict[str, ast.expr] = {}
    for key, entry in zip(value.keys, value.values, strict=True):
        if key is None:
            found |= _entries(modules, home, entry)
        elif isinstance(key, ast.Constant):
            found[str(key.value)] = entry
    return found


def _texts(modules: Mapping[str, Module], module: Module, node: ast.expr) -> tuple[str, ...]:
    _, value = _value(modules, module, node)
    try:
        read = ast.literal_eval(value)
    except ValueError:
        raise Unreadable("the owner") from None
    if not isinstance(read, tuple):
        raise Unreadable("the owner")
    return tuple(map(str, read))


def _value(modules: Mapping[str, Module], module: Module, node: ast.expr) -> tuple[Module, ast.expr]:
    """What an expression stands for: itself, or what its name is given, with the module that says it."""
    home, symbol = resolve(modules, module.origin(node))
    found = modules[home].names.get(symbol) if home else None
    return (modules[home], found) if isinstance(found, ast.expr) else (module, node)
