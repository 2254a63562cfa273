"""Each service brings its world: `world(harness)` in `tests/<service>/ownership_world.py`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module

from deploy.local.options import ROOT
from tests.contract.ownership.ownership import World
from tests.harness import Harness

NAME = "ownership_world"
WORLDS: dict[str, Callable[[Harness], AbstractAsyncContextManager[World]]] = {
    f"weft.{file.parent.name}.v1": import_module(f"tests.{file.parent.name}.{NAME}").world
    for file in sorted((ROOT / "tests").glob(f"*/{NAME}.py"))
}
"""By the package of their RPCs."""
