"""The whole bootstrap of one edge, and the files beside it."""

from pathlib import Path
from typing import Any

from codegen.envoy.deployment import Deployment
from services.chassis.contract import Contract


def build(contract: Contract, deployment: Deployment) -> dict[str, Any]:
    """Envoy's bootstrap, version 3, as JSON-able values."""
    raise NotImplementedError


def files(contract: Contract, deployment: Deployment) -> dict[str, str]:
    """Name to text of everything that `deployment.folder` must hold: `edge.json` and its companions."""
    raise NotImplementedError


def write(contract: Contract, deployment: Deployment) -> Path:
    """Write `files` into `deployment.folder`, creating it, and return the path of `edge.json`."""
    raise NotImplementedError


def command(deployment: Deployment) -> list[str]:
    """The command line that runs this edge from its folder: `envoy -c …/edge.json --concurrency …`."""
    raise NotImplementedError


def generate(contract: Contract, root: Path) -> None:
    """Write `deploy/envoy/edge.golden.json` and `edge.golden.lua` under `root`, for a sample deployment."""
