"""Part of `make lint`: reads the contract as the protos say it now, and prints everything in it that makes no sense.

Then the SQL of the services (`columns`).
"""

import sys
import tempfile
from pathlib import Path

import contract
from codegen import buf, columns, contract_checks
from codegen.openapi import document
from contract import rules

ROOT = Path(__file__).resolve().parent.parent


def check(root: Path) -> str:
    """The sentences to print about the protos under `root`, one a line; empty where all is well."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "descriptors.binpb"
        try:
            buf.run("build", "--as-file-descriptor-set", "-o", str(built), cwd=root)
            read = contract.load(built)
            found = contract_checks.faults(read)
            if not found:
                document(read)
        except (buf.Failed, contract.ContractError, rules.UntranslatedRule) as error:
            return str(error)
    return "\n".join(found)


def main() -> None:
    """Exit 1 with the sentences, if there are any."""
    sys.exit(check(ROOT) or columns.check(ROOT / "services") or 0)


if __name__ == "__main__":
    main()
