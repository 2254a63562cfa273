"""Columns that hold what the `Vault` has encrypted: each declares its context, so that a command can re-encrypt it.

Column("email_sealed", LargeBinary, nullable=False, info=sealed("user.email"))
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData, Table

_KEY = "sealed"
SUFFIX = "_sealed"


@dataclass(frozen=True)
class Sealed:
    """Values are encrypted in `context`. Those that `expire` soon are left to; with `mixed` some are not encrypted.

    `shown`: texts that a person's export holds.
    """

    context: str
    expires: bool = False
    mixed: bool = False
    shown: bool = False


def sealed(context: str, *, expires: bool = False, mixed: bool = False, shown: bool = False) -> dict[str, Any]:
    """The `info` of such a column."""
    return {_KEY: Sealed(context, expires, mixed, shown)}


def columns(table: Table) -> dict[str, Sealed]:
    """The encrypted columns of a table. Raises `ValueError` where one that is named so declares nothing."""
    found = {}
    for column in table.columns:
        if _KEY in column.info:
            found[column.name] = column.info[_KEY]
        elif column.name.endswith(SUFFIX):
            raise ValueError(f"Say how {table.name}.{column.name} is encrypted: info=sealed(context).")
    return found


def tables(metadata: MetaData) -> list[tuple[Table, dict[str, Sealed]]]:
    """The tables that have some, by name. Raises `ValueError` as `columns` does."""
    named = sorted(metadata.tables.values(), key=lambda table: table.name)
    return [(table, found) for table in named if (found := columns(table))]
