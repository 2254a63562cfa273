"""A query that reads an owned table has a condition on its owner, or a reason; a table says whose it is."""

from collections.abc import Callable

import pytest

from codegen.lint import owned_tables

TABLES = """
from chassis.storage import retention
things = Table("things", metadata, Column("user_id", Text), info={"owner": ("user_id",), **retention.keep("for good")})
colours = Table("colours", metadata, info=retention.keep("for good"))
"""
OWNERSHIP = """
from services.shop.things.tables import things
KINDS = ("user", "anyone")
KIND = "user"
OF_USER = "t.user_id = %(user_id)s"
of_things = things.c.user_id == bindparam("user_id")
def of_user(table: Table) -> ColumnElement[bool]: return table.c.user_id == bindparam("user_id")
def of_kind(kind: str) -> str:
    return {"user": "t.user_id = %(user_id)s", "anyone": "true"}[kind]
def owned(kind: str) -> sa.TextClause: return text(of_kind(kind).replace("%(user_id)s", ":user_id"))
def kind_of(caller) -> tuple[str, str]: return "user", caller.user_id
def may_see(caller, user_id: str) -> bool: return caller.user_id == user_id
def user_of(caller) -> str: return caller.name
"""
SHARED = """
from services.shop.things.tables import things
from services.shop.ownership import of_user
FROM_THINGS = "FROM things t"
THINGS = "things"
def select_things(): return select(things)
def mine(): return of_user(things)
"""
IMPORTS = """
from chassis.storage import database
from chassis.storage.database import Query, Query as Q
from services.shop import ownership, ownership as whose, shared
from services.shop.ownership import KIND, KINDS, OF_USER, kind_of, may_see, of_kind, of_things, of_user, of_user as mine, user_of
from services.shop.shared import FROM_THINGS, THINGS, select_things
from services.shop.things import tables
from services.shop.things.tables import colours, things, things as goods
_t = things.c
"""
READS = ": reads things without an owner: use a condition of the service's ownership.py, or write `# any owner: <why>` above."


def said(modules: Callable, repository: str) -> list[str]:
    """What the check says of a repository."""
    files = {
        "shop/ownership.py": OWNERSHIP,
        "shop/shared.py": SHARED,
        "shop/things/tables.py": TABLES,
        "shop/things/repository.py": IMPORTS + repository,
    }
    return list(owned_tables.faults(modules(files)))


@pytest.mark.parametrize(
    "query",
    [
        '_GET = Query("SELECT name FROM things t WHERE t.id = %(id)s")',
        '_GET = Query("select name from things")',
        '_GET = Query("TABLE things")',
        '_GET = Query("SELECT name FROM public.things")',
        "_GET = Query('SELECT name FROM \"things\"')",
        '_GET = Query("SELECT name FROM colours c, things t")',
        '_GET = Query("""UPDATE things SET name = %(name)s""")',
        '_GET = Query("MERGE INTO colours USING things t ON true")',
        '_GET = Query(f"SELECT name {FROM_THINGS} WHERE t.id = %(id)s")',
        '_GET = Query(f"SELECT name FROM {THINGS} WHERE t.id = %(id)s")',
        '_GET = Query("SELECT name " + FROM_THINGS)',
        '_GET = Query(f"SELECT name {shared.FROM_THINGS} WHERE t.id = %(id)s")',
        "_GET = Query(select(things).where(things.c.id == bindparam('id')))",
        "_GET = Q(select(things))",
        "_GET = database.Query(select(things))",
        '_GET = getattr(database, "Query")(select(things))',
        "_GET = Query(select(goods))",
        "_GET = Query(select(tables.things))",
        '_GET = Query(select(getattr(tables, "things")))',
        "import services.shop.things.tables as t\n_GET = Query(select(t.things))",
        "from .tables import things as own\n_GET = Query(select(own))",
        "_ALIAS = things\n_GET = Query(select(_ALIAS))",
        "_ALIAS = things.alias()\n_GET = Query(select(_ALIAS))",
        "def _get():\n    from services.shop.things.tables import things as inner\n    return Query(select(inner))",
        "if True:\n    _GET = Query(select(things))",
        "_GET = Query(delete(things))",
        "_ROWS = select(_t.name)\n_GET = Query(_ROWS)",
        "_GET = Query(select_things())",
        "_GET = Query(shared.select_things())",
        "@cache\ndef _list(names):\n    return Query(select(things))",
        "# reads everything\n_GET = Query(select(things))",
        "_GET = {kind: Query(select(things)) for kind in KINDS}",
        "_GET = {kind: Query(f'SELECT name FROM things t WHERE {KIND}') for kind in ownership.KINDS}",
        "def _get(caller):\n    kind_of(caller)\n    return Query(select(things))",
        "def _get(caller):\n    assert may_see(caller, '')\n    return Query(select(things).where(_t.name == user_of(caller)))",
        "class R:\n    one = Query(select(colours).where(of_user(things)))\n    other = Query(select(things))",
        "class R:\n    def a(self): return of_user(things)\n    def b(self): return Query(select(things))",
        "# any owner: for the worker\nclass R:\n    def b(self): return Query(select(things))",
        "_A, _B = Query(select(things)), Query(select(colours).where(of_user(colours)))",
    ],
)
def test_a_query_that_reads_everybodys_rows_is_refused(modules: Callable, query: str) -> None:
    (sentence,) = said(modules, query)
    assert sentence.startswith("services/shop/things/repository.py:")
    assert sentence.endswith(READS)


@pytest.mark.parametrize(
    "query",
    [
        '_GET = Query(f"SELECT name FROM things t WHERE t.id = %(id)s AND {OF_USER}")',
        '_GET = Query(f"SELECT name {FROM_THINGS} WHERE {ownership.OF_USER}")',
        '_GET = Query(f"SELECT name {FROM_THINGS} WHERE {whose.OF_USER}")',
        "_GET = Query(select(things).where(mine(things)))",
        "_GET = Query(select(things).where(shared.mine()))",
        "_OWNED = of_things & (things.c.id == bindparam('id'))\n_GET = Query(select(things).where(_OWNED))",
        "_GET = {kind: Query(f'SELECT name FROM things t WHERE {of_kind(kind)}') for kind in KINDS}",
        "@cache\ndef _list(names):\n    return Query(select(things).where(of_things))",
        "@cache\ndef _list(kind):\n    return Query(select(things).where(ownership.owned(kind)))",
        "# any owner: the sweep deletes what is over, whosever it is\n_GET = Query(delete(things))",
        "@cache  # any owner: for the worker\ndef _list(names):\n    return Query(select(things))",
        "class R:\n    # any owner: for the worker\n    def b(self): return Query(select(things))",
        "_ADD = Query(insert(things).values(name=bindparam('name')))",
        '_ADD = Query("INSERT INTO things (name) VALUES (%(name)s)")',
        '_GET = Query(select(colours), name="colours, things")',
        "_c, _u = colours.c, things.c\n_GET = Query(select(_c.name))",
        '_GET = Query("SELECT name FROM colours")',
    ],
)
def test_an_owner_a_reason_or_nothing_to_own_passes(modules: Callable, query: str) -> None:
    assert said(modules, query) == []


def test_every_fault_is_told(modules: Callable) -> None:
    assert (
        len(said(modules, "_A = Query(select(things))\ndef f():\n    return Query(delete(things)), Q(select(things))"))
        == 3
    )


def test_a_condition_or_a_reason_of_another_query_helps_nobody(modules: Callable) -> None:
    both = "_A = Query(select(things).where(of_things))\n_B = Query(select(things))\n"
    within = "def f():\n    # any owner: here\n    a = Query(select(things))\n    return a, Query(delete(things))"
    assert len(said(modules, both + within)) == 2


BESIDE = " without an owner, beside a table that has one: join it by a column of that, use a condition of the service's ownership.py"
PARTS = """
parts = Table("parts", metadata, Column("user_id", Text), info={"owner": ("user_id",), **retention.keep("for good")})
nuts = Table("nuts", metadata, Column("user_id", Text), info={"owner": ("user_id",), **retention.keep("for good")})
_p, _n, _x = parts.c, nuts.c, parts.alias("x")
"""


def test_names_within_a_function_are_followed(modules: Callable) -> None:
    text = f"""{PARTS}
def _get():
    t, p = things.alias("t"), parts.alias("p")
    return Query(select(t, p).where(of_user(t), CONDITION))
"""
    assert said(modules, text.replace("CONDITION", "p.c.id == t.c.id")) == []
    assert len(said(modules, text.replace("CONDITION", "p.c.id == 1"))) == 1


@pytest.mark.parametrize(
    ("query", "bare"),
    [
        ('f"SELECT 1 FROM things t JOIN parts p ON true WHERE {OF_USER}"', "parts"),
        ('f"SELECT 1 FROM things t, parts WHERE {OF_USER}"', "parts"),
        ('f"SELECT 1 FROM things x JOIN parts p ON p.id = x.id WHERE {OF_USER}"', "parts, things"),
        (
            'f"SELECT 1 FROM things t JOIN parts p ON p.id = %(id)s JOIN nuts n ON n.id = p.id WHERE {OF_USER}"',
            "nuts, parts",
        ),
        ('f"SELECT 1 FROM things t JOIN parts p ON p.id = t.id JOIN nuts n ON n.id = p.id WHERE {OF_USER}"', ""),
        ('f"SELECT 1 FROM things t JOIN parts USING (id) WHERE {OF_USER}"', ""),
        ('f"SELECT 1 FROM (SELECT id FROM things t WHERE {OF_USER}) f JOIN parts p ON p.id = f.id"', ""),
        ('f"SELECT 1 FROM parts WHERE id IN (SELECT id FROM things t WHERE {OF_USER})"', ""),
        ("select(things, parts).where(of_user(things))", "parts"),
        ("select(things, parts).where(of_user(things), of_user(colours))", "parts"),
        ("select(things, parts).where(of_user(things), _p.mode == KIND)", "parts"),
        ("select(things, parts).where(of_user(colours))", "parts, things"),
        ("select(things, parts).where(of_user(things), of_user(parts))", ""),
        ("select(things, _x).where(of_user(things), _x.c.id == things.c.id)", ""),
        ("select(things, parts, nuts).where(of_things, _p.id == _n.id, _p.id == things.c.id)", ""),
        ("select(parts).where(_p.id.in_(select(things.c.id).where(of_things)))", ""),
        ("select(parts).where(tuple_(_p.id, _p.name).in_(select(things.c.id).where(of_things)))", ""),
        ("select(parts).where(_p.id == select(things.c.id).where(of_things).scalar_subquery())", ""),
        ("select(parts).join(things).where(of_things)", ""),
        ("select(things).join_from(things, parts).where(of_things)", ""),
        ("select(things).join_from(things, parts, true()).where(of_things)", "parts"),
        ('f"SELECT 1 FROM parts p WHERE p.id = ANY(ARRAY(SELECT id FROM things t WHERE {OF_USER}))"', ""),
        ("select(parts).where(_p.id.in_([1]), things.c.id == 1, of_things)", "parts"),
    ],
)
def test_an_owner_of_one_table_holds_for_those_that_are_joined_with_it(
    modules: Callable, query: str, bare: str
) -> None:
    sentences = said(modules, f"{PARTS}_GET = Query({query})")
    assert [sentence.partition("reads ")[2].partition(", or write")[0] for sentence in sentences] == (
        [f"{bare}{BESIDE} for it"] if bare else []
    )


OWNED = '"owner": ("partner_id",)'
MODE = 'goods belongs to partners and has no column `mode`: add it, or write `"modeless": "<why>"` in its info.'
NOBODY = 'goods has a partner_id and no owner: write `"owner": ("partner_id",)` in its info, or `"unowned": "<why>"`.'
UNREADABLE = "{} of goods cannot be read: write it in the table's own `info={{…}}`."


@pytest.mark.parametrize(
    ("columns", "info", "sentence"),
    [
        ("", f"{{{OWNED}}}", MODE),
        ("", 'dict(owner=("partner_id",))', MODE),
        ("", "{**_OWNED}", MODE),
        ("", "_OWNED | retention.keep('for good')", MODE),
        ("", '{"owner": _OWNERS}', MODE),
        (', Column("mode", Text)', f"{{{OWNED}}}", ""),
        ("", f'{{{OWNED}, "modeless": "about the partner itself"}}', ""),
        ("", "retention.keep('for good')", NOBODY),
        ("", "{}", NOBODY),
        ("", '{"unowned": "the catalogue"}', ""),
        ("", "{**own.info}", UNREADABLE.format("the info")),
        ("", '{"owner": owners()}', UNREADABLE.format("the owner")),
    ],
)
@pytest.mark.parametrize("table", ["Table", "sa.Table", "T"])
def test_a_table_says_whose_it_is(modules: Callable, table: str, columns: str, info: str, sentence: str) -> None:
    text = (
        "import sqlalchemy as sa\nfrom sqlalchemy import Table as T\nfrom chassis.storage import retention\n"
        f'_OWNERS = ("partner_id",)\n_OWNED = {{{OWNED}}}\n'
        f'goods = {table}("goods", metadata, Column("partner_id", Text){columns}, info={info})'
    )
    expected = [f"services/shop/tables.py:6: {sentence}"] if sentence else []
    assert list(owned_tables.faults(modules({"shop/tables.py": text}))) == expected
