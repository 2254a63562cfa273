"""Every query that finds products by words, at a cost that has a bound.

Of common words the newest products have a page at once. Others are looked up in their index. Where the newest have no page
of them, and still more than `MAX_FOUND` products have them, a page ends where reading has.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam

from chassis.storage.database import Database, Query, Row
from services.order.domain.product import Product
from services.order.products.repository import ProductRepository, filtered
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
_COLUMNS = ", ".join(column.name for column in products.columns)


@cache
def _newest(filters: frozenset[str]) -> Query:
    """`limit` of the newest `most` that have the words, each with how many were `seen` and the `last` of these; or one row without."""
    newest = filtered(filters).where(products.c.product_id < bindparam("after")).order_by(products.c.product_id.desc())
    # any owner: the catalogue is public
    return Query(
        f"WITH newest AS MATERIALIZED ({Query(newest.limit(bindparam('most'))).sql}) "  # noqa: S608 - our own names
        f"SELECT {_COLUMNS}, seen, last FROM (SELECT count(*) AS seen, min(product_id) AS last FROM newest) n "
        f"LEFT JOIN (SELECT {_COLUMNS} FROM newest WHERE {_MATCHING} ORDER BY product_id DESC LIMIT %(limit)s) m ON true "
        "ORDER BY product_id DESC",
        name="search newest products",
    )


# any owner: the catalogue is public
_FIND = Query(
    f"SELECT ARRAY(SELECT product_id FROM products WHERE {_MATCHING} LIMIT %(most)s) AS ids",  # noqa: S608 - our own names
    name="find products by words",
)


class SearchRepository:
    """Finds products of both modes."""

    def __init__(self, database: Database, listed: ProductRepository) -> None:
        self._database = database
        self._listed = listed

    async def search(
        self, mode: str, words: str, limit: int, after: str, filters: Mapping[str, Any]
    ) -> tuple[Sequence[Product], str]:
        """As `ProductRepository.list`, of those whose titles have the words; and where reading ended before it had `limit`, its last id."""
        values = {**filters, "mode": mode, "words": words, "limit": limit, "after": after, "most": MAX_READ}
        rows = await self._database.all(_newest(frozenset(filters)), **values)
        found = [_read(row) for row in rows if row.product_id is not None]
        if len(found) == limit or rows[0].seen < MAX_READ:
            return found, ""
        ids = (await self._database.one(_FIND, words=words, most=MAX_FOUND + 1)).ids
        if len(ids) > MAX_FOUND:
            return found, rows[0].last
        return await self._listed.list(mode, limit, after, {**filters, "ids": ids}), ""


def _read(row: Row) -> Product:
    """The product of a row, without `seen` and `last`."""
    return Product(**{name: value for name, value in row._asdict().items() if name in products.c})
