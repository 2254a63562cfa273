"""The recipes of CONTRIBUTING, followed in a copy of the tree: what has to be edited, and what holds by itself."""

import filecmp
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen import check_gen
from tests.codegen.recipes.written import NEW_SERVICE, ROOT, RPC_TEST, make, run

pytestmark = pytest.mark.e2e

OF_SERVICE = {str(file.relative_to(NEW_SERVICE)) for file in NEW_SERVICE.rglob("*") if file.is_file()}
SHARED = {"protos/weft/api/v1/scope.proto", "tests/contract/routes.txt"}
OF_RPC = {"protos/weft/order/v1/product_service.proto", "services/order/products/handlers.py", RPC_TEST}
GENERATED = ("gen/", "clients/", "docs/", "deploy/")


@pytest.fixture(scope="module")
def tree(folder: Path, copied: Callable[[Path], Path]) -> Path:
    """A copy of the repository with the new service and the new RPC in it, generated."""
    return copied(folder / "recipes")


def test_the_recipes_edit_protos_handlers_tests_and_the_routes(tree: Path) -> None:
    """Everything else that differs is written by `make gen`, which made the copy."""
    names = set(check_gen.files(tree)) | set(check_gen.files(ROOT))
    differing = {
        name
        for name in names
        if not ((ROOT / name).is_file() and (tree / name).is_file() and filecmp.cmp(ROOT / name, tree / name))
    }
    assert {name for name in differing if not name.startswith(GENERATED)} == OF_SERVICE | SHARED | OF_RPC


def test_they_keep_all_rules(tree: Path) -> None:
    assert make(tree, "lint") == (0, "")


def test_the_new_service_is_in_the_ownership_matrix(tree: Path) -> None:
    """By the world that it brings."""
    matrix = ("tests/contract/ownership/test_ownership.py", "-k", "weft.note.v1 or has_a_world or knows_every")
    code, output = run(tree, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *matrix)
    assert code == 0, output[-6000:]


def test_what_knows_the_contract_by_heart_passes_with_a_call_of_the_new_rpc(tree: Path) -> None:
    tests = (
        "tests/chassis/test_error_details.py", "tests/clients/package/test_surface.py", "tests/contract/policies/test_policies.py",
        "tests/contract/sizes/test_sizes.py", "tests/codegen/test_openapi.py", "tests/test_tree.py", RPC_TEST,
    )  # fmt: skip
    code, output = run(tree, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert code == 0, output[-6000:]
