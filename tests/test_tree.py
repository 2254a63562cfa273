"""The shape of the tree: folders that can be read at one look, and packages that say what they are."""

import ast
import re
from itertools import groupby
from pathlib import Path

import pytest

from deploy.local.options import ROOT

MAX_MODULES = 12
FOLDERS = ("bench", "chassis", "codegen", "contract", "deploy", "services", "tests", "clients/python/src")
MODULES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if not {"generated", "versions", "node_modules"} & set(path.parts)
)
PACKAGES = [path for path in MODULES if path.name == "__init__.py"]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_a_folder_of_more_than_twelve_modules_has_packages_of_its_own() -> None:
    def has_subpackages(folder: Path) -> bool:
        return any(found.parent.parent == folder for found in MODULES)

    modules = [path for path in MODULES if path.name != "__init__.py"]
    counted = {folder: len(list(found)) for folder, found in groupby(modules, key=lambda path: path.parent)}
    assert [
        (relative(folder), count)
        for folder, count in counted.items()
        if count > MAX_MODULES and not has_subpackages(folder)
    ] == []


@pytest.mark.parametrize("package", PACKAGES, ids=relative)
def test_a_package_says_what_it_is(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse(package.read_text()))
    assert docstring is not None, f"{relative(package)}: write one line that says what the package is"


@pytest.mark.parametrize("module", [path for path in MODULES if "chassis" in path.parts], ids=relative)
def test_the_chassis_and_its_tests_import_no_contract_of_a_service(module: Path) -> None:
    services = "|".join(folder.name for folder in (ROOT / "services").iterdir() if (folder / "__main__.py").exists())
    assert re.findall(rf"^(?:from|import) weft\.(?:{services})\b.*", module.read_text(), re.MULTILINE) == []
