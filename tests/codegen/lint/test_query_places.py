"""Queries are made in repositories, in whichever way `Query` was imported."""

from collections.abc import Callable

import pytest

from codegen.lint import query_places

MAKES = "services/shop/handlers.py:2: makes a query: move it to the noun's repository.py (or …_repository.py, …_statements.py)"


@pytest.mark.parametrize(
    "text",
    [
        'from chassis.storage.database import Query\n_GET = Query("SELECT 1")',
        'from chassis.storage.database import Query as Q\n_GET = Q("SELECT 1")',
        'from chassis.storage import database\n_GET = database.Query("SELECT 1")',
        'import chassis.storage.database as db\n_GET = db.Query("SELECT 1")',
        'import chassis.storage.database\n_GET = chassis.storage.database.Query("SELECT 1")',
        'from chassis.storage import database\n_GET = getattr(database, "Query")("SELECT 1")',
        "from chassis.storage.database import Query\n_GET = partial(Query, name='get')",
        "from chassis.storage.database import Query\n_GETS = map(Query, texts)",
        'from chassis.storage.database import Query\ndef get(): return [Query("SELECT 1")]',
        'if True: from chassis.storage.database import Query as Q\nasync def get(): return Q("SELECT 1")',
        'from ..database import Query\nclass Handlers: _get = Query("SELECT 1")',
    ],
)
def test_a_query_that_is_made_elsewhere_is_refused(modules: Callable, text: str) -> None:
    (sentence,) = query_places.faults(modules({"shop/handlers.py": text}).values())
    assert sentence.startswith(MAKES)


@pytest.mark.parametrize("file", ["repository.py", "line_repository.py", "list_statements.py"])
def test_repositories_and_statements_make_queries(modules: Callable, file: str) -> None:
    text = 'from chassis.storage import database\n_GET = database.Query("SELECT 1")\n'
    assert list(query_places.faults(modules({f"shop/{file}": text}).values())) == []


@pytest.mark.parametrize(
    "text",
    [
        "async def get(connection):\n    await connection.execute('SELECT 1')",
        "def get(session):\n    return [row for row in session.scalars('SELECT 1')]",
        "from shop import open\nwith open() as c, c.cursor() as cursor: cursor.executemany('SELECT 1', [])",
    ],
)
@pytest.mark.parametrize("file", ["worker.py", "repository.py"])
def test_sql_that_goes_past_query_is_refused_everywhere(modules: Callable, file: str, text: str) -> None:
    (sentence,) = query_places.faults(modules({f"shop/{file}": text}).values())
    assert sentence.startswith(f"services/shop/{file}:2: runs SQL by `.")


@pytest.mark.parametrize("text", ["import psycopg", "from psycopg import errors as e", "import psycopg.errors"])
def test_only_repositories_and_statements_know_the_driver(modules: Callable, text: str) -> None:
    places = {f"shop/{name}.py": text for name in ("repository", "line_repository", "insert_statements")}
    (sentence,) = query_places.faults(modules({**places, "shop/checkout.py": f"x = 1\n{text}"}).values())
    assert sentence.startswith("services/shop/checkout.py:2: imports psycopg: let the repository")


def test_a_query_that_is_only_run_is_none_of_its_business(modules: Callable) -> None:
    text = "from services.shop.repository import Repository\nasync def get(r: Repository): return await r.query()"
    assert list(query_places.faults(modules({"shop/handlers.py": text}).values())) == []
