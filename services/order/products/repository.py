"""Every query on products but the search."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Select, Text, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis import ids
from chassis.storage.database import Database, Query, Row, Transaction, constant, newest_first
from services.order.domain.product import Product, StockAdjustment
from services.order.ownership import ProductOwner, of_product_owner
from services.order.products.tables import products, stock_adjustments

_p, _s = products.c, stock_adjustments.c
_by_id = select(products).where(_p.product_id == bindparam("product_id"))
# any owner: the catalogue is public
_GET = Query(_by_id, name="get product")
# any owner: the catalogue is public
_LIST_BY_IDS = Query(
    select(products).where(_p.product_id == any_(bindparam("product_ids", type_=ARRAY(Text)))),
    name="list products by ids",
)
_LOCK = Query(_by_id.where(of_product_owner(products)).with_for_update(), name="lock product")
_insert = insert(products).values({column.name: bindparam(column.name) for column in products.columns})
_INSERT = Query(_insert, name="insert product")
_INSERT_IF_ABSENT = Query(
    _insert.on_conflict_do_nothing(index_elements=["product_id"]), name="insert product if absent"
)
_UPDATED = ("title", "price_minor", "currency", "active", "version", "updated_at", "image_urls", "archived_at")
"""Everything that changes except the stock, which only changes by differences."""
# any owner: of a product that the transaction has locked for its owner
_UPDATE = Query(
    update(products).where(_p.product_id == bindparam("id")).values({name: bindparam(name) for name in _UPDATED}),
    name="update product",
)
# any owner: of a product that the transaction has locked for its owner
_ADJUST_STOCK = Query(
    update(products)
    .where(_p.product_id == bindparam("id"))
    .values(stock=_p.stock + bindparam("delta"))
    .returning(products),
    name="adjust stock",
)
_INSERT_ADJUSTMENT = Query(
    insert(stock_adjustments).values({column.name: bindparam(column.name) for column in stock_adjustments.columns}),
    name="insert adjustment",
)
_adjustments = (
    select(*(_s[name] for name in StockAdjustment._fields))
    .join_from(stock_adjustments, products, _p.product_id == _s.product_id)
    .where(_s.product_id == bindparam("product_id"), of_product_owner(products))
)
_LIST_ADJUSTMENTS = Query(newest_first(_adjustments, _s.adjustment_id), name="list adjustments")
_EXISTS = Query(
    select(_p.product_id).where(_p.product_id == bindparam("product_id"), of_product_owner(products)),
    name="find product",
)
_FILTERS = {
    "current": _p.archived_at.is_(None),
    "active": _p.active == bindparam("active"),
    # The second half matches the condition of the index.
    "partner_id": (_p.partner_id == bindparam("partner_id")) & (_p.partner_id != constant("")),
    "currency": _p.currency == bindparam("currency"),
    "ids": _p.product_id == any_(bindparam("ids", type_=ARRAY(Text))),
}


def filtered(filters: frozenset[str]) -> Select[Any]:
    """The products of a mode that pass the filters."""
    return select(products).where(
        _p.mode == bindparam("mode"), *(_FILTERS[name] for name in sorted(filters & _FILTERS.keys()))
    )


@cache
def _list(filters: frozenset[str]) -> Query:
    """One statement for each set of filters in use, so that each has its own plan."""
    # any owner: the catalogue is public
    return Query(newest_first(filtered(filters), _p.product_id), name="list products")


class ProductRepository:
    """Products of both modes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, product_id: str) -> Product | None:
        """A product of any owner."""
        row = await self._database.first(_GET, product_id=product_id)
        return read(row) if row else None

    async def list(self, mode: str, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Product]:
        """Up to `limit` products of a mode older than `after`, newest first.

        `filters`: `current` (not archived), `active`, `partner_id`, `currency`, `ids`.
        """
        query = _list(frozenset(filters))
        rows = await self._database.all(query, mode=mode, limit=limit, after=after, **filters)
        return [read(row) for row in rows]

    async def list_by_ids(self, product_ids: Collection[str]) -> Sequence[Product]:
        """Those that exist, in no order."""
        return [read(row) for row in await self._database.all(_LIST_BY_IDS, product_ids=[*product_ids])]

    async def lock(self, tx: Transaction, owner: ProductOwner, product_id: str) -> Product | None:
        """The owner's product, locked until the transaction ends."""
        row = await tx.first(_LOCK, product_id=product_id, **owner.values)
        return read(row) if row else None

    async def insert(self, tx: Transaction, product: Product) -> None:
        await tx.run(_INSERT, **_values(product))

    async def insert_if_absent(self, product: Product) -> None:
        """Insert a product, unless it exists."""
        await self._database.run(_INSERT_IF_ABSENT, **_values(product))

    async def update(self, tx: Transaction, product: Product) -> None:
        """Store all of a locked product but its stock."""
        await tx.run(_UPDATE, id=product.product_id, **_values(product))

    async def adjust_stock(
        self, tx: Transaction, product_id: str, delta: int, reason: str, actor: str, now: datetime
    ) -> Product:
        """Of a product that the transaction has locked, and that has the stock: the table has the check, too."""
        product = read(await tx.one(_ADJUST_STOCK, id=product_id, delta=delta))
        adjustment = StockAdjustment(ids.new("adj", now), product_id, delta, product.stock, reason, actor, now)
        await tx.run(_INSERT_ADJUSTMENT, **adjustment._asdict())
        return product

    async def list_adjustments(
        self, owner: ProductOwner, product_id: str, limit: int, after: str
    ) -> Sequence[StockAdjustment] | None:
        """Up to `limit` adjustments of the owner's product older than `after`, newest first; None if there is no such product."""
        values = {"product_id": product_id, **owner.values}
        rows = await self._database.all(_LIST_ADJUSTMENTS, **values, limit=limit, after=after)
        if not rows and await self._database.first(_EXISTS, **values) is None:
            return None
        return [StockAdjustment(**row._asdict()) for row in rows]


def read(row: Row) -> Product:
    return Product(**row._asdict())


def _values(product: Product) -> dict[str, Any]:
    values = {column.name: getattr(product, column.name) for column in products.columns}
    return {**values, "image_urls": [*product.image_urls]}
