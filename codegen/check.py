"""Part of `make lint`: reads the contract as the protos are now, and prints every fault with what to write.

Then the services' code: their error classes (`error_classes`), where they make queries (`query_places`), the owners of what
they read (`owned_tables`) and the columns in their SQL (`columns`).
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from codegen import buf, columns, error_classes, owned_tables, query_places
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
    services = ROOT / "services"
    found = [
        check(ROOT),
        *query_places.faults(services),
        *owned_tables.faults(services),
        columns.check(services),
    ]
    sys.exit("\n".join(filter(None, found)) or 0)


if __name__ == "__main__":
    main()
