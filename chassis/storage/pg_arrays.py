"""PostgreSQL array literals (https://www.postgresql.org/docs/18/arrays.html#ARRAYS-INPUT), for statements that write many rows.

A literal is joined from strings; psycopg's dumper of lists visits each element in Python. Measured for a batch of 32
orders: 11 µs an order instead of 80. `ArrayDumper` does it for lists; the functions are for what is no list, or has types
that the caller knows.
"""

from collections.abc import Callable, Iterable
from typing import Any

from psycopg.abc import Buffer
from psycopg.types.array import ListDumper


def names(values: Iterable[str]) -> str:
    """An array of ids and other words that hold no space, quote, comma, brace or backslash and are not empty."""
    return "{" + ",".join(values) + "}"


def numbers(values: Iterable[int]) -> str:
    """An array of integers."""
    return "{" + ",".join(map(str, values)) + "}"


def texts(values: Iterable[str]) -> str:
    """An array of any text."""
    return "{" + ",".join(['"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values]) + "}"


def nullable_texts(values: Iterable[str | None]) -> str:
    """An array of any text; None is NULL."""
    return (
        "{"
        + ",".join(["NULL" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values])
        + "}"
    )


def blobs(values: Iterable[bytes]) -> str:
    """An array of bytea."""
    return "{" + ",".join(['"\\\\x' + v.hex() + '"' for v in values]) + "}"


class ArrayDumper(ListDumper):
    """Writes lists of nothing but `str`, `bytes`, `int` or `float`. psycopg chooses the type, and writes the others."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """The literal. Raises `psycopg.DataError` for a NUL in a text, as psycopg does."""
        types = frozenset(map(type, obj))
        write = _WRITERS.get(types) if self.delimiter == b"," else None
        if write is None:
            return super().dump(obj)
        literal = write(obj)
        return super().dump(obj) if "\0" in literal else literal.encode()


_WRITERS: dict[frozenset[type], Callable[[Any], str]] = {
    frozenset({str}): texts,
    frozenset({str, type(None)}): nullable_texts,
    frozenset({bytes}): blobs,
    frozenset({int}): numbers,
    frozenset({float}): numbers,
}
