"""What the edge's image holds, made while it is built: `python -m deploy.container.bake FOLDER`."""

import sys
from pathlib import Path

from codegen import envoy, explorer
from codegen.envoy.limits import callers
from deploy.container.edge import CONCURRENCY


def bake(folder: Path) -> None:
    """Write the pages and the module that counts what callers hold."""
    explorer.write(folder / "docs")
    explorer.front(folder / "front")
    sample = envoy.Deployment(
        folder=folder, services={}, http_port=0, https_port=0, metrics_port=0, jwks_port=0,
        descriptors=folder, concurrency=CONCURRENCY,
    )  # fmt: skip
    (folder / callers.FILE).write_bytes(callers.module(sample))


if __name__ == "__main__":
    bake(Path(sys.argv[1]))
