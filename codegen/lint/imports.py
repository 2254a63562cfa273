"""The import rules of `pyproject.toml`, checked by import-linter and told in sentences: which import, which rule, what instead."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from importlinter import configuration
from importlinter.application import use_cases
from importlinter.application.ports.reporting import Report
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.domain.contract import Contract, registry

CLIENT = Path("clients/python/src")
"""Where the client's package is; the others are in the root."""

_TYPES = (AcyclicSiblingsContract, ForbiddenContract, IndependenceContract)


def faults(root: Path) -> list[str]:
    """A sentence for each import that breaks a rule; `root` is the working directory, from which the packages are imported."""
    configuration.configure()
    for kind in _TYPES:
        registry.register(kind, kind.type_name)
    options = use_cases.read_user_options(str(root / "pyproject.toml"))
    modules = _modules(root, options.session_options["root_packages"])
    for written in options.contracts_options:
        for key, value in written.items():
            if isinstance(value, list):
                written[key] = [module for pattern in value for module in _expanded(pattern, modules)]
    report = use_cases.create_report(options, cache_dir=None)
    if report.could_not_run:
        return [f"pyproject.toml: {name}: {error.errors}." for name, error in report.invalid_contract_options.items()]
    broken = [
        (contract, chain)
        for contract, check in report.get_contracts_and_checks()
        for chain in _chains(report, check.metadata)
    ]
    found: dict[tuple[str, _Link], str] = {}  # the shortest way for each import and rule
    told: set[_Link] = set()
    for contract, chain in sorted(broken, key=lambda each: len(each[1])):
        if told.isdisjoint(chain[1:]):  # or it ends with what is told of an import further down
            told.add(chain[0])
            found.setdefault((contract.name, chain[0]), _sentence(modules, contract, chain))
    return [*_unseen(root, modules), *sorted(found.values())]


def _modules(root: Path, packages: Iterable[str]) -> dict[str, str]:
    """The modules of the packages by dotted name, with their files."""
    found = {}
    for package in packages:
        base = root if (root / package).exists() else root / CLIENT
        for file in sorted((base / package).rglob("*.py")):
            if "versions" not in file.parts:
                name = ".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__")
                found[name] = str(file.relative_to(root))
    return found


def _unseen(root: Path, modules: Mapping[str, str]) -> Iterator[str]:
    """import-linter looks into packages only; deploy has folders of scripts."""
    for folder in sorted({Path(file).parent for file in modules.values()}):
        if folder.parts[0] != "deploy" and not (root / folder / "__init__.py").exists():
            yield f"{folder}/__init__.py:1: is missing, so that no import rule is checked in {folder}: write it, with a first line that says what the package is."


def _expanded(pattern: str, modules: Iterable[str]) -> list[str]:
    """The modules of a pattern with a wildcard for a part of a name, which import-linter has not; another pattern as it is."""
    if "*_" not in pattern:
        return [pattern]
    expression = re.escape(pattern).replace(r"\*\*\.", r"(?:.+\.)?").replace(r"\*", "[^.]*")
    return sorted(module for module in modules if re.fullmatch(expression, module))


_Link = tuple[str, str, int]
"""Importer, imported and line of an import."""
_Chain = list[_Link]
"""From the module that may not to what it may not import."""


def _chains(report: Report, metadata: Mapping[str, Any]) -> Iterator[_Chain]:
    for importer, imported in sorted(
        pair for pairs in metadata.get("cycle_breakers_by_package", {}).values() for pair in pairs
    ):
        details = report.graph.get_import_details(importer=importer, imported=imported)
        yield [(importer, imported, details[0]["line_number"] if details else 1)]
    for found in metadata.get("invalid_chains", ()):
        for chain in found["chains"]:
            if isinstance(chain, list):
                yield _links(chain)
                continue
            yield _links(chain["chain"])
            yield from (_links([first, *chain["chain"][1:]]) for first in chain["extra_firsts"])
            yield from (_links([*chain["chain"][:-1], last]) for last in chain["extra_lasts"])


def _links(chain: Iterable[Mapping[str, Any]]) -> _Chain:
    return [(link["importer"], link["imported"], (link["line_numbers"] or (1,))[0] or 1) for link in chain]


def _sentence(modules: Mapping[str, str], contract: Contract, chain: _Chain) -> str:
    (importer, imported, line), *further = chain
    through = "".join(f", which imports {name} ({modules[by]}:{number})" for by, name, number in further)
    rule, instead = contract.name, getattr(contract, "broken_contract_guidance", "")
    return f"{modules[importer]}:{line}: imports {imported}{through}; but {rule}: {instead}."


def main() -> None:
    """Exit 1 with the sentences, if there are any."""
    sys.exit("\n".join(faults(Path.cwd())) or 0)


if __name__ == "__main__":
    main()
