"""The tree of the recipes: made once in a run, as to generate it takes seconds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen import check_gen
from deploy.local.options import ROOT
from tests.codegen.recipes.written import add_rpc, add_service
from tests.mesh import shared


@pytest.fixture(scope="session")
def copied() -> Callable[[Path], Path]:
    """`copied(target)` is a copy of the repository with the new service and the new RPC in it, generated."""
    with shared("recipes") as tree:
        if not tree.exists():
            draft = tree.with_name("recipes.draft")
            check_gen.copy(ROOT, draft)
            add_service(draft)
            add_rpc(draft)
            check_gen.generate(draft)
            draft.rename(tree)
    return lambda target: Path(shutil.copytree(tree, target))
