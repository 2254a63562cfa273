"""Every query on products."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, func, insert, select, update

from chassis import ids
from chassis.storage.database import Database, Query, Transaction
from services.order.domain.product import Product, StockAdjustment
from services.order.ownership import ProductOwner, of_product_owner
from services.order.products import search_statements
from services.order.products.tables import products, stock_adjustments

_ALL = select(products)
_COLUMNS = [column.name for column in products.columns]
_UPDATED = ("title", "price_minor", "currency", "active", "version", "updated_at", "image_urls", "archived_at")
"""Everything that changes except the stock, which only changes by differences."""

# any owner: the catalogue is public
_GET = Query(_ALL.where(products.c.product_id == bindparam("product_id")), name="get product")
# any owner: the catalogue is public
_LIST_BY_IDS = Query(
    _ALL.where(products.c.product_id == func.any(bindparam("product_ids", type_=ARRAY(Text)))),
    name="list products by ids",
)
_LOCK = Query(
    _ALL.where(products.c.product_id == bindparam("product_id"), of_product_owner(products)).with_for_update(),
    name="lock product",
)
_INSERT = Query(insert(products).values({name: bindparam(name) for name in _COLUMNS}), name="insert product")
# any owner: of a product that the transaction has locked for its owner
_UPDATE = Query(
    update(products)
    .where(products.c.product_id == bindparam("id"))
    .values({name: bindparam(name) for name in _UPDATED}),
    name="update product",
)
# any owner: of a product that the transaction has locked for its owner
_ADJUST_STOCK = Query(
    update(products)
    .where(products.c.product_id == bindparam("id"))
    .values(stock=products.c.stock + bindparam("delta"))
    .returning(products),
    name="adjust stock",
)
_INSERT_ADJUSTMENT = Query(
    insert(stock_adjustments).values({name: bindparam(name) for name in StockAdjustment._fields}),
    name="insert adjustment",
)
_LIST_ADJUSTMENTS = Query(
    select(*(stock_adjustments.c[name] for name in StockAdjustment._fields))
    .join_from(stock_adjustments, products, products.c.product_id == stock_adjustments.c.product_id)
    .where(
        stock_adjustments.c.product_id == bindparam("product_id"),
        stock_adjustments.c.adjustment_id < bindparam("after"),
        of_product_owner(products),
    )
    .order_by(stock_adjustments.c.adjustment_id.desc())
    .limit(bindparam("limit")),
    name="list adjustments",
)
_FIND = Query(
    select(products.c.product_id).where(products.c.product_id == bindparam("product_id"), of_product_owner(products)),
    name="find product",
)
_INSERT_IF_ABSENT = Query(
    "INSERT INTO products (product_id, partner_id, title, price_minor, currency, stock, active, version, created_at, updated_at) "
    "VALUES (%(product_id)s, '', %(title)s, %(price_minor)s, %(currency)s, %(stock)s, true, 1, %(now)s, %(now)s) "
    "ON CONFLICT (product_id) DO NOTHING",
    name="insert product if absent",
)


class ProductRepository:
    """Products of both modes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, product_id: str) -> Product | None:
        """The catalogue is public: it has no owner's condition."""
        row = await self._database.first(_GET, product_id=product_id)
        return Product(*row) if row else None

    async def list_by_ids(self, product_ids: Collection[str]) -> Sequence[Product]:
        """Those that exist, in no order."""
        return [Product(*row) for row in await self._database.all(_LIST_BY_IDS, product_ids=[*product_ids])]

    async def list(self, mode: str, limit: int, after: str, filters: Mapping[str, Any]) -> Sequence[Product]:
        """Up to `limit` of a mode older than `after`, newest first.

        `filters`: `current` (not archived), `active`, `partner_id`, `currency`.
        """
        query = search_statements.listing(frozenset(filters))
        rows = await self._database.all(query, mode=mode, limit=limit, after=after, **filters)
        return [Product(*row) for row in rows]

    async def search(
        self, mode: str, limit: int, after: str, filters: Mapping[str, Any]
    ) -> tuple[Sequence[Product], str]:
        """As `list`, of those whose titles have `words`; and where reading ended before it had `limit`, its last id."""
        values, asked = {**filters, "mode": mode, "limit": limit, "after": after}, frozenset(filters)
        rows = await self._database.all(search_statements.newest(asked), **values, most=search_statements.MAX_READ)
        found = [Product(*row[2:]) for row in rows if row.product_id is not None]
        if len(found) == limit or rows[0].seen < search_statements.MAX_READ:
            return found, ""
        most = search_statements.MAX_FOUND
        ids = (await self._database.one(search_statements.BY_WORDS, words=filters["words"], most=most + 1)).ids
        if len(ids) > most:
            return found, rows[0].last
        rows = await self._database.all(search_statements.listing(asked - {"words"} | {"ids"}), **values, ids=ids)
        return [Product(*row) for row in rows], ""

    async def lock(self, tx: Transaction, owner: ProductOwner, product_id: str) -> Product | None:
        """The owner's product, locked until the transaction ends."""
        row = await tx.first(_LOCK, product_id=product_id, **owner._asdict())
        return Product(*row) if row else None

    async def insert(self, tx: Transaction, product: Product) -> None:
        values = {name: getattr(product, name) for name in _COLUMNS}
        await tx.run(_INSERT, **values | {"image_urls": [*product.image_urls]})

    async def update(self, tx: Transaction, product: Product) -> None:
        values = {name: getattr(product, name) for name in _UPDATED}
        await tx.run(_UPDATE, id=product.product_id, **values | {"image_urls": [*product.image_urls]})

    async def adjust_stock(
        self, tx: Transaction, product_id: str, delta: int, reason: str, actor: str, now: datetime
    ) -> Product:
        """Of a product that the transaction has locked. Raises `CheckViolation` if the stock would fall below 0."""
        product = Product(*await tx.one(_ADJUST_STOCK, id=product_id, delta=delta))
        adjustment = StockAdjustment(ids.new("adj", now), product_id, delta, product.stock, reason, actor, now)
        await tx.run(_INSERT_ADJUSTMENT, **adjustment._asdict())
        return product

    async def list_adjustments(
        self, owner: ProductOwner, product_id: str, limit: int, after: str
    ) -> Sequence[StockAdjustment] | None:
        """Of the owner's product, newest first, after the id `after`; None if there is no such product."""
        values = {"product_id": product_id, **owner._asdict()}
        rows = await self._database.all(_LIST_ADJUSTMENTS, **values, limit=limit, after=after)
        if not rows and await self._database.first(_FIND, **values) is None:
            return None
        return [StockAdjustment(*row) for row in rows]

    async def insert_if_absent(
        self, product_id: str, title: str, price_minor: int, currency: str, stock: int, now: datetime
    ) -> None:
        """A platform-owned product, unless it exists."""
        values = {"title": title, "price_minor": price_minor, "currency": currency, "stock": stock, "now": now}
        await self._database.run(_INSERT_IF_ABSENT, product_id=product_id, **values)
