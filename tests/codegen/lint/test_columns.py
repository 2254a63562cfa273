"""SQL names its columns, or lint says where it does not."""

from collections.abc import Callable

import pytest

from codegen.lint import columns


@pytest.mark.parametrize(
    "source",
    [
        '"SELECT * FROM orders"',
        '"select * from orders"',
        '"SELECT ALL * FROM orders"',
        '"SELECT o.*, l.n FROM orders o"',
        "'SELECT \"o\".* FROM orders o'",
        '"SELECT n, o.* FROM orders o"',
        '"UPDATE orders SET n = 1 RETURNING *"',
        'f"SELECT {x}, o.* FROM orders o"',
        'f"SELECT DISTINCT * FROM {x}"',
        '"SELECT DISTINCT ON (n) * FROM orders"',
        '("WITH g AS (SELECT * FROM "\n "unnest(1))")',
        '"SELECT " + "*" + " FROM orders"',
        '"SELECT {} FROM orders".format("*")',
        '"TABLE orders"',
        '"WITH g AS (TABLE orders) SELECT n FROM g"',
        '"SELECT n FROM o UNION ALL TABLE orders"',
        'select("*").select_from(orders)',
        'select(n, "orders.*")',
        'insert(orders).returning("*")',
        'select(text("*")).select_from(orders)',
        'select(literal_column("orders.*"))',
        'insert(orders).returning(sqlalchemy.text("*"))  # RETURNING',
        'str(select(plain("*")))',
    ],
)
def test_a_star_is_refused(modules: Callable, source: str) -> None:
    read = modules(
        {"one.py": f"from sqlalchemy import select, text, text as plain, literal_column\nQUERY = {source}\n"}
    )
    (sentence,) = columns.faults(read.values())
    assert sentence.startswith("services/one.py:2: name the columns instead of `")


@pytest.mark.parametrize(
    "source",
    [
        '"SELECT count(*) FROM orders"',
        '"SELECT 2 * n FROM orders"',
        'r"/v1.*"',
        '"a, *b"',
        '"SELECT n, m FROM o"',
        'f("SELECT n FROM o", *x)',
        '"CREATE TABLE orders (n int)"',
        '"LOCK TABLE orders"',
        '"Table of orders; SELECT n"',
    ],
)
def test_other_stars_are_none_of_its_business(modules: Callable, source: str) -> None:
    assert list(columns.faults(modules({"one.py": f"QUERY = {source}\n"}).values())) == []
