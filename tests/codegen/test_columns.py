"""SQL names its columns, or lint says where it does not."""

from pathlib import Path

import pytest

from codegen import columns


@pytest.mark.parametrize(
    "source",
    [
        '"SELECT * FROM orders"',
        '"SELECT o.*, l.n FROM orders o"',
        '"SELECT n, o.* FROM orders o"',
        '"UPDATE orders SET n = 1 RETURNING *"',
        'f"SELECT {x}, o.* FROM orders o"',
        'f"SELECT DISTINCT * FROM {x}"',
        '("WITH g AS (SELECT * FROM "\n "unnest(1))")',
    ],
)
def test_a_star_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "one.py").write_text(f"x = 1\nQUERY = {source}\n")
    assert columns.check(tmp_path / "services").startswith("services/one.py:2: name the columns instead of `")


@pytest.mark.parametrize(
    "source",
    ['"SELECT count(*) FROM orders"', '"SELECT 2 * n FROM orders"', 'r"/v1.*"', '"a, *b"', '"SELECT n, m FROM o"'],
)
def test_other_stars_are_none_of_its_business(tmp_path: Path, source: str) -> None:
    (tmp_path / "one.py").write_text(f"QUERY = {source}\n")
    assert columns.check(tmp_path) == ""
