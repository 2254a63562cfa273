"""PostgreSQL array literals (https://www.postgresql.org/docs/18/arrays.html#ARRAYS-INPUT), for statements that write many rows.

A literal is joined from strings; psycopg's dumper of lists visits each element in Python. Measured for a batch of 32
orders: 11 µs an order instead of 80.
"""

from collections.abc import Iterable


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
