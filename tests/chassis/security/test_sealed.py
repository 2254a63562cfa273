"""Every encrypted column is found by the command that re-encrypts."""

from importlib import import_module

import pytest
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text

from chassis.security import sealed
from deploy.local.options import ROOT

SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/tables.py"))
PLAIN = {
    "client_assertions.assertion_hash", "idempotency.id", "idempotency.fingerprint", "passkeys.credential_id",
    "passkeys.public_key", "sign_ups.network", "text_counts.subject",
}  # fmt: skip
"""Hashes and public keys."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_binary_column_is_encrypted_hashed_a_job_or_named_here(service: str) -> None:
    metadata = import_module(f"services.{service}.tables").metadata
    encrypted = {f"{table.name}.{name}" for table, columns in sealed.tables(metadata) for name in columns}
    unknown = [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and not column.name.endswith(("_hash", "_lookup", "payload"))
    ]
    assert set(unknown) - PLAIN == encrypted


def test_a_column_that_is_named_so_must_say_how_it_is_encrypted() -> None:
    notes = Table("notes", MetaData(), Column("id", Text, primary_key=True), Column("text_sealed", LargeBinary))
    with pytest.raises(ValueError, match=r"notes\.text_sealed"):
        sealed.tables(notes.metadata)
