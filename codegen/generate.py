"""`make gen`: everything that is derived from the protos, written anew.

buf writes messages, stubs and the descriptor set; each generator then derives its own part from the `Contract`.
"""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from services.chassis import contract

ROOT = Path(__file__).resolve().parent.parent
GENERATORS = ("codegen.python_client", "codegen.envoy", "codegen.openapi")


def main() -> None:
    """Generate into the tree that this file lies in."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    buf = shutil.which("buf", path=environment["PATH"]) or sys.exit("buf is not installed: run `make setup` first.")
    print("messages and stubs …")
    subprocess.run([buf, "generate"], cwd=ROOT, env=environment, check=True, stderr=subprocess.DEVNULL)
    subprocess.run(
        [buf, "build", "--as-file-descriptor-set", "-o", "gen/descriptors.binpb"], cwd=ROOT, env=environment, check=True
    )
    read = contract.load(ROOT / "gen" / "descriptors.binpb")
    for name in GENERATORS:
        print(f"{name.removeprefix('codegen.').replace('_', ' ')} …")
        importlib.import_module(name).generate(read, ROOT)
    print(f"generated from {len(read.methods)} RPCs; next: make lint test")


if __name__ == "__main__":
    main()
