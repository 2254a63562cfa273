"""`make gen`: writes everything that is derived from the protos.

buf writes messages, stubs and the descriptor set; each generator then derives its own part from the `Contract`.
"""

import importlib
import subprocess
import sys
from pathlib import Path

from codegen import buf

ROOT = Path(__file__).resolve().parent.parent
GENERATORS = (
    "codegen.python_client",
    "codegen.envoy",
    "codegen.openapi",
    "codegen.settings_reference",
    "codegen.fault_reference",
    "codegen.kubernetes",
    "codegen.observability",
)


def main() -> None:
    """Generate into the tree that contains this file."""
    try:
        generate(ROOT)
    except buf.Failed as failed:
        sys.exit(str(failed))
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)  # it has printed why


def generate(root: Path) -> None:
    """Generate into `root`, which is the tree that this process was started from.

    Raises `buf.Failed`, or `CalledProcessError` when a generator failed.
    """
    print("messages and stubs …")
    buf.run("generate", cwd=root)
    buf.run("build", "--as-file-descriptor-set", "-o", "gen/descriptors.binpb", cwd=root)
    buf.run("build", "--as-file-descriptor-set", "--exclude-source-info", "-o", "gen/contract.binpb", cwd=root)
    _drop_orphans(root)
    # A process of its own: this one may have loaded the options' module of before.
    subprocess.run([sys.executable, "-m", "codegen.generate", "derive"], cwd=root, check=True)


def derive(root: Path) -> None:
    """Run the generators on the descriptor set that buf wrote into `root`."""
    import contract

    try:
        read = contract.load(root / "gen" / "descriptors.binpb")
    except contract.ContractError as error:
        sys.exit(str(error))
    for name in GENERATORS:
        print(f"{name.removeprefix('codegen.').replace('_', ' ')} …")
        importlib.import_module(name).generate(read, root)
    print(f"generated from {len(read.methods)} RPCs; next: make lint test")


def _drop_orphans(root: Path) -> None:
    """Remove the stubs of protos that are gone, which buf leaves."""
    stubs = root / "gen" / "python"
    for stub in stubs.glob("weft/**/*_pb2*"):
        proto = (root / "protos" / stub.relative_to(stubs)).with_name(stub.name.partition("_pb2")[0] + ".proto")
        if not proto.exists():
            stub.unlink()


if __name__ == "__main__":
    derive(ROOT) if sys.argv[1:] == ["derive"] else main()
