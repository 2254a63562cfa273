"""The statements that list products and find them by words, at a cost that has a bound.

Of common words the newest products have a page at once. Others are looked up in their index. Where the newest have no page
of them, and still more than `MAX_FOUND` products have them, a page ends where reading has.
"""

from functools import cache

from chassis.storage.database import Query
from services.order.products.tables import WORDS_OF_TITLE, products

MAX_READ = 500
"""Products that a search reads in the order of the list."""
MAX_FOUND = 5_000
"""Products that are looked up by words."""

_WORDS = (
    "(SELECT to_tsquery('simple', string_agg(word, ':*&') || ':*') FROM (SELECT word FROM regexp_split_to_table("
    "btrim(regexp_replace(%(words)s, '[^[:alnum:]]+', ' ', 'g')), ' ') AS word WHERE word <> '' LIMIT 8) w)"
)
"""SQL: each of the first eight words of the text `words`, or a word that begins with it; null, which nothing matches, for none."""
_MATCHING = f"{WORDS_OF_TITLE} @@ {_WORDS}"
_FILTERS = {
    "current": "archived_at IS NULL",
    "active": "active = %(active)s",
    # The second half matches the condition of the index.
    "partner_id": "partner_id = %(partner_id)s AND partner_id <> ''",
    "currency": "currency = %(currency)s",
    "ids": "product_id = ANY(%(ids)s::text[])",
}
_COLUMNS = ", ".join(column.name for column in products.columns)
_NEWEST_FIRST = "ORDER BY product_id DESC LIMIT"


@cache
def listing(filters: frozenset[str]) -> Query:
    """`limit` products of a mode, newest first: one statement for each set of filters in use, so that each has its own plan."""
    # any owner: the catalogue is public
    return Query(f"{_select(filters)} {_NEWEST_FIRST} %(limit)s", name="list products")


@cache
def newest(filters: frozenset[str]) -> Query:
    """`limit` of the newest `most` that have the words, each with how many were `seen` and the `last` of these; or one row without."""
    # any owner: the catalogue is public
    return Query(
        f"WITH newest AS MATERIALIZED ({_select(filters - {'words'})} {_NEWEST_FIRST} %(most)s) "  # noqa: S608
        f"SELECT seen, last, {_COLUMNS} FROM (SELECT count(*) AS seen, min(product_id) AS last FROM newest) n "
        f"LEFT JOIN (SELECT {_COLUMNS} FROM newest WHERE {_MATCHING} {_NEWEST_FIRST} %(limit)s) m ON true ORDER BY product_id DESC",
        name="search newest products",
    )


# any owner: the catalogue is public
BY_WORDS = Query(
    f"SELECT ARRAY(SELECT product_id FROM products WHERE {_MATCHING} LIMIT %(most)s) AS ids",  # noqa: S608
    name="find products by words",
)


def _select(filters: frozenset[str]) -> str:
    where = " AND ".join(["mode = %(mode)s", "product_id < %(after)s", *(_FILTERS[name] for name in sorted(filters))])
    return f"SELECT {_COLUMNS} FROM products WHERE {where}"  # noqa: S608
