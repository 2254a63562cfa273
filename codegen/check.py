"""Part of `make lint`: reads the contract as the protos are now, and prints every fault with what to write.

Then what the services' code must agree with it about: their error classes (`error_classes`) and their SQL (`columns`).
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from codegen import buf, columns, error_classes
from codegen.openapi import document
from contract import Contract, checks, rules

ROOT = Path(__file__).resolve().parent.parent


def check(root: Path) -> str:
    """The sentences to print about the protos under `root`, one a line; empty where all is well."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "descriptors.binpb"
        try:
            buf.run("build", "--as-file-descriptor-set", "-o", str(built), cwd=root)
            read = Contract(FileDescriptorSet.FromString(built.read_bytes()), tolerant=True)
            found = [*read.faults, *checks.faults(read), *error_classes.faults(read, root)]
            if not found:
                document(read)
        except (buf.Failed, rules.UntranslatedRule) as error:
            return str(error)
    return "\n".join(found)


def main() -> None:
    """Exit 1 with the sentences, if there are any."""
    sys.exit(check(ROOT) or columns.check(ROOT / "services") or 0)


if __name__ == "__main__":
    main()
