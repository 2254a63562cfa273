"""Part of `make lint`: reads the contract as the protos say it now, and prints the first policy that makes no sense."""

import sys
import tempfile
from pathlib import Path

from codegen import buf, rules
from codegen.openapi import document
from services.chassis import contract

ROOT = Path(__file__).resolve().parent.parent


def check(root: Path) -> str:
    """The sentence to print about the protos under `root`; empty where all is well."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "descriptors.binpb"
        try:
            buf.run("build", "--as-file-descriptor-set", "-o", str(built), cwd=root)
            document(contract.load(built))
        except (buf.Failed, contract.ContractError, rules.UntranslatedRule) as error:
            return str(error)
    return ""


def main() -> None:
    """Exit 1 with the sentence, if there is one."""
    sys.exit(check(ROOT) or 0)


if __name__ == "__main__":
    main()
