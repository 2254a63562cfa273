"""Array literals mean to PostgreSQL what they were made of."""

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.storage import pg_arrays


@pytest.fixture(scope="module")
def connection(postgres_url: str):
    with psycopg.connect(postgres_url, dbname="postgres") as open_:
        yield open_


several = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@several
@given(st.lists(text | st.sampled_from(["NULL", "", "{}", '"', "\\", "a,b", " ", "\n"])))
def test_texts(connection, values: list[str]) -> None:
    assert connection.execute("SELECT %s::text[]", [pg_arrays.texts(values)]).fetchone()[0] == values


@several
@given(st.lists(st.binary(max_size=30)))
def test_blobs(connection, values: list[bytes]) -> None:
    assert connection.execute("SELECT %s::bytea[]", [pg_arrays.blobs(values)]).fetchone()[0] == values


@several
@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_numbers(connection, values: list[int]) -> None:
    assert connection.execute("SELECT %s::bigint[]", [pg_arrays.numbers(values)]).fetchone()[0] == values


def test_names(connection) -> None:
    values = ["ord_01k0", "EUR", "2026-11-24T04:00:00.000001+00:00"]
    assert connection.execute("SELECT %s::text[]", [pg_arrays.names(values)]).fetchone()[0] == values


def dumped(connection, values: list, kind: str) -> list:
    return connection.execute(f"SELECT %s::{kind}[]", [values]).fetchone()[0]


@several
@given(
    st.lists(text | st.none() | st.sampled_from(["NULL", "", "{}", '"', "\\", "a,b", " "])),
    st.lists(st.binary(max_size=30)),
    st.lists(st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.floats(allow_nan=False)),
    st.lists(st.booleans() | st.none()),
)
def test_lists_are_what_they_were(connection, texts, blobs, integers, floats, flags) -> None:
    connection.adapters.register_dumper(list, pg_arrays.ArrayDumper)
    assert dumped(connection, texts, "text") == texts
    assert dumped(connection, blobs, "bytea") == blobs
    assert dumped(connection, integers, "bigint") == integers
    assert dumped(connection, floats, "float8") == floats
    assert dumped(connection, flags, "bool") == flags
    assert dumped(connection, [texts, [*texts]], "text") == ([texts, texts] if texts else [])


def test_a_text_with_a_nul_is_refused_and_not_cut(connection) -> None:
    connection.adapters.register_dumper(list, pg_arrays.ArrayDumper)
    with pytest.raises(psycopg.DataError):
        dumped(connection, ["a\0b"], "text")
