"""A query that reads an owned table has its owner or a reason."""

from pathlib import Path

import pytest

from codegen import owned_tables

ROOT = Path(__file__).resolve().parents[2]
TABLES = """
things = Table("things", metadata, Column("user_id", Text), info={"owner": ("user_id",), **retention.keep("for good")})
colours = Table("colours", metadata, info=retention.keep("for good"))
"""
OWNERSHIP = """
from services.shop.things.tables import things
OF_USER = "t.user_id = %(user_id)s"
of_user = things.c.user_id == bindparam("user_id")
"""
SHARED = """
FROM_THINGS = "FROM things t"
"""
IMPORTS = """
from services.shop import ownership
from services.shop.ownership import OF_USER, of_user
from services.shop.shared import FROM_THINGS
from services.shop.things.tables import colours, things
_t = things.c
"""


def said(folder: Path, repository: str) -> list[str]:
    """What the check says of a repository."""
    files = {
        "shop/ownership.py": OWNERSHIP,
        "shop/shared.py": SHARED,
        "shop/things/tables.py": TABLES,
        "shop/things/repository.py": IMPORTS + repository,
    }
    for name, text in files.items():
        file = folder / "services" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return list(owned_tables.faults(folder / "services"))


@pytest.mark.parametrize(
    "query",
    [
        '_GET = Query("SELECT name FROM things t WHERE t.id = %(id)s")',
        '_GET = Query("""UPDATE things SET name = %(name)s""")',
        '_GET = Query(f"SELECT name {FROM_THINGS} WHERE t.id = %(id)s")',
        "_GET = Query(select(things).where(things.c.id == bindparam('id')))",
        "_GET = Query(delete(things))",
        "_ROWS = select(_t.name)\n_GET = Query(_ROWS)",
        "@cache\ndef _list(names):\n    return Query(select(things))",
        "# reads everything\n_GET = Query(select(things))",
    ],
)
def test_a_query_that_reads_everybodys_rows_is_refused(tmp_path: Path, query: str) -> None:
    (sentence,) = said(tmp_path, query)
    assert sentence.startswith("services/shop/things/repository.py:")
    assert sentence.endswith(
        ": reads things without an owner: use a predicate of the service's ownership.py, or write `# any owner: <why>` above."
    )


@pytest.mark.parametrize(
    "query",
    [
        '_GET = Query(f"SELECT name FROM things t WHERE t.id = %(id)s AND {OF_USER}")',
        '_GET = Query(f"SELECT name {FROM_THINGS} WHERE {ownership.OF_USER}")',
        "_OWNED = of_user & (things.c.id == bindparam('id'))\n_GET = Query(select(things).where(_OWNED))",
        "@cache\ndef _list(names):\n    return Query(select(things).where(of_user))",
        "# any owner: the sweep deletes what is over, whosever it is\n_GET = Query(delete(things))",
        "@cache  # any owner: for the worker\ndef _list(names):\n    return Query(select(things))",
        "_ADD = Query(insert(things).values(name=bindparam('name')))",
        '_ADD = Query("INSERT INTO things (name) VALUES (%(name)s)")',
        "_GET = Query(select(colours))",
        "_c, _u = colours.c, things.c\n_GET = Query(select(_c.name))",
        '_GET = Query("SELECT name FROM colours")',
    ],
)
def test_an_owner_a_reason_or_nothing_to_own_passes(tmp_path: Path, query: str) -> None:
    assert said(tmp_path, query) == []


def test_every_fault_is_told(tmp_path: Path) -> None:
    assert len(said(tmp_path, "_A = Query(select(things))\n_B = Query(delete(things))")) == 2


def test_a_predicate_in_another_query_of_the_module_helps_nobody(tmp_path: Path) -> None:
    assert len(said(tmp_path, "_A = Query(select(things).where(of_user))\n_B = Query(select(things))")) == 1


def test_this_trees_queries_pass() -> None:
    assert list(owned_tables.faults(ROOT / "services")) == []


@pytest.mark.parametrize(
    ("columns", "info", "refused"),
    [
        ("", "", True),
        (', Column("mode", Text)', "", False),
        ("", ', "modeless": "about the partner itself"', False),
    ],
)
def test_what_belongs_to_partners_has_a_mode(tmp_path: Path, columns: str, info: str, refused: bool) -> None:
    table = f'goods = Table("goods", metadata, Column("partner_id", Text){columns}, info={{"owner": ("partner_id",){info}}})'
    found = said(tmp_path, table)
    assert [fault.partition(": ")[2][:34] for fault in found] == (
        ["goods belongs to partners and has "] if refused else []
    )
