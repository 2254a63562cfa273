"""Reads the contract as the protos are now and the code beside it, and prints every fault with its place and what to write.

The contract (`contract.checks`), the error classes (`error_classes`), where queries are made (`query_places`), the owners of what
they read (`owned_tables`), their columns, in SQL and in rows (`columns`), and what domains call (`pure_domains`).
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from codegen.lint import columns, error_classes, owned_tables, protos, pure_domains, query_places, source
from codegen.lint.source import Module
from codegen.openapi import document
from contract import Contract, checks, rules

ROOT = Path(__file__).resolve().parents[2]


def of_contract(root: Path, services: Mapping[str, Module], chassis: Mapping[str, Module]) -> list[str]:
    """The sentences about the protos under `root`, and about the errors of the code, which the protos declare."""
    try:
        with protos.compiled(root) as (_, descriptors, misspelt):
            read = Contract(FileDescriptorSet.FromString(descriptors.read_bytes()), tolerant=True)
    except protos.NotCompiled as error:
        return [*error.args, "The protos do not compile, so the rest of the contract was not checked."]
    found = [*misspelt, *(_placed(read, sentence) for sentence in (*read.faults, *checks.faults(read)))]
    found += error_classes.faults(read, services, chassis)
    if not found:
        try:
            document(read)
        except rules.UntranslatedRule as error:
            return [str(error)]
    return found


def _placed(read: Contract, sentence: str) -> str:
    """A sentence with the file and the line of the name that it begins with."""
    place = read.place(sentence.partition(" ")[0].rstrip(":"))
    return f"{place}: {sentence}" if place else sentence


def of_code(services: Mapping[str, Module], chassis: Mapping[str, Module]) -> Iterator[str]:
    """The sentences about queries and domains."""
    yield from query_places.faults(services.values())
    yield from owned_tables.faults(services)
    yield from pure_domains.faults(services.values())
    yield from columns.faults((*chassis.values(), *services.values()))
    yield from columns.of_rows((*chassis.values(), *services.values()))


def main() -> None:
    """Exit 1 with the sentences, if there are any."""
    services, chassis = source.read(ROOT / "services"), source.read(ROOT / "chassis")
    sys.exit("\n".join([*of_contract(ROOT, services, chassis), *of_code(services, chassis)]) or 0)


if __name__ == "__main__":
    main()
